"""Run the test of every claim in SECURITY.md, wherever it stands: `python -m tests.attacks [OPTIONS OF PYTEST]`."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def named_in_security() -> list[tuple[str, str]]:
    """The file and the name of each test that SECURITY.md names."""
    return re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))


def names_in(file: str) -> dict[str, str]:
    """How pytest names the tests of a file, by the name of their functions."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {name.rpartition("::")[2]: f"{file}::{name}" for name in _functions(tree.body)}


def _functions(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{prefix}{node.name}::")


if __name__ == "__main__":
    named = [names_in(file)[name] for file, name in named_in_security()]
    sys.exit(pytest.main([f"--rootdir={ROOT}", *sys.argv[1:], *dict.fromkeys(named)]))
