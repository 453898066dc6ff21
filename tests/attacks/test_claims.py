"""Every claim of SECURITY.md names a test, and the test is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and "| test |" not in line]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)


def test_every_row_names_one_test() -> None:
    assert len(ROWS) == len(NAMED) > 40


@pytest.mark.parametrize("section", re.split(r"\n### ", TEXT)[1:], ids=lambda section: section.split("\n")[0])
def test_every_section_makes_claims(section: str) -> None:
    assert "| it cannot | test |" in section


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_test_of_a_claim_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name.startswith("test_"), "pytest runs it"
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
