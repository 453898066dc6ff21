"""Which tests judge a file: a command that somebody configured, the workspace's pytest files, or its own doctests.

Finding them reads files and runs nothing.
"""

from __future__ import annotations

import ast
import doctest
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Literal

from risk_lsp.errors import BadInput
from risk_lsp.repair import harness
from risk_lsp.repair.watching import watched_doctests, watched_pytest
from risk_lsp.repair.workspace_copy import workspace_files

_TEST_FILES_AT_MOST = 2_000
_TEST_FILE_BYTES = 500_000
_MATCHES_AT_MOST = 20


@dataclass(frozen=True)
class TestPlan:
    """Tests that can be run. Make one with `find_tests`.

    command: the exact command line, for people to agree to. root: the workspace, of which a copy is shown to the tests;
    place: the file's path in it, with slashes. files: test files in it. python: the interpreter that runs them.
    """

    __test__ = False  # it is none of pytest's

    kind: Literal["command", "pytest", "doctest"]
    command: str
    root: Path
    place: str
    files: tuple[str, ...] = ()
    python: Path | None = None

    @property
    def identity(self) -> str:
        """A short hash that differs where somebody would have to agree anew."""
        parts = "\0".join((self.kind, self.command, str(self.root), str(self.python or "")))
        return sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def script(self, program: str) -> str:
        """The script that runs to its end only if `program`, in the file's place, passes."""
        if self.kind == "command":
            return harness.command_script(program, self.place, self.command)
        if self.kind == "pytest":
            return harness.pytest_script(program, self.place, self.files)
        return harness.doctest_script(program, self.place, PurePosixPath(self.place).stem)

    def watched(self, program: str) -> str | None:
        """The same for one program that is watched; None for a command."""
        if self.kind == "pytest":
            return watched_pytest(program, self.place, self.files)
        if self.kind == "doctest":
            return watched_doctests(program, self.place, PurePosixPath(self.place).stem)
        return None


def find_tests(
    path: Path, text: str, *, workspace: Path | None = None, command: str | None = None, python: Path | None = None
) -> TestPlan | None:
    """The tests of a file whose text is `text`; None if there are none.

    `command` wins. Then come the pytest files of `workspace` that import the file, then its doctests. Without a
    workspace the file's own folder stands for it. `python` is the interpreter of the tests, by default the workspace's
    .venv or venv, or else the one that this program runs with. BadInput for a file outside of the workspace.
    """
    root = (workspace or path.parent).absolute()
    try:
        place = path.absolute().relative_to(root).as_posix()
    except ValueError as error:
        raise BadInput(f"{path} does not lie in {root}", "name the folder that holds it and its tests") from error
    runner = python or environment_of(root)
    shown = "python" if runner is None else str(runner)
    if command is not None and command.strip():
        return TestPlan("command", command.strip(), root, place, python=runner)
    if workspace is not None and (files := tuple(islice(_importing(root, place), _MATCHES_AT_MOST))):
        words = " ".join(f"'{file}'" if " " in file else file for file in files)
        return TestPlan("pytest", f"{shown} -m pytest -x -q {words}", root, place, files, runner)
    if has_doctests(text):
        return TestPlan("doctest", f"{shown} -m doctest {place}", root, place, python=runner)
    return None


def environment_of(root: Path) -> Path | None:
    """The interpreter of the virtual environment in a workspace; None if it has none."""
    for name in (".venv", "venv"):
        python = root / name / "bin" / "python"
        if (root / name / "pyvenv.cfg").is_file() and python.exists():
            return python
    return None


def has_doctests(text: str) -> bool:
    """Whether a docstring of the program holds examples."""
    tree = _parsed(text)
    if tree is None or ">>>" not in text:
        return False
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    documented = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, holders))
    return any(_examples(words) for words in documented if words)


def _examples(docstring: str) -> bool:
    try:
        return bool(doctest.DocTestParser().get_examples(docstring))
    except ValueError:
        return False


def _importing(root: Path, place: str) -> Iterator[str]:
    """The test files of a workspace that import the file at `place`."""
    modules = _module_names(place)
    tests = (path for path in workspace_files(root) if _is_test(path.name))
    for path in islice(tests, _TEST_FILES_AT_MOST):
        try:
            if path.stat().st_size > _TEST_FILE_BYTES:
                continue
            tree = _parsed(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError):
            continue
        here = path.relative_to(root).as_posix()
        if tree is not None and here != place and modules & set(_imported(tree)):
            yield here


def _is_test(name: str) -> bool:
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def _module_names(place: str) -> set[str]:
    """The names by which a file may be imported: pkg/a.py is pkg.a, and a for tests beside it."""
    parts = list(PurePosixPath(place).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return {".".join(parts[start:]) for start in range(len(parts))}


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)


def _parsed(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
