"""Which tests judge a file, and the bounded copy of its workspace that they run on."""

from __future__ import annotations

import ast
import contextlib
import doctest
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path, PurePosixPath
from threading import Event
from types import TracebackType
from typing import Literal

from risk_lsp.errors import BadInput, RepairError
from risk_lsp.repair import harness
from risk_lsp.repair.harness import watched_doctests, watched_pytest
from risk_lsp.text.structure import syntax_tree

_BYTES_AT_MOST = 200_000_000
_FILES_AT_MOST = 20_000
_FILE_AT_MOST = 20_000_000
_LEFT_OUT = frozenset(
    (
        *("node_modules", "__pycache__", "venv", "env", "build", "dist", "site-packages", "htmlcov"),
        *("target", "wandb", "mlruns", "checkpoints"),
    )
)
_HINT = "open a smaller folder, or name the tests with a command of your own in a folder that holds just them"


class WorkspaceCopy:
    """A context manager; `folder` is the copy. Setting `stopped`, from any thread, ends the copying.

    Names that begin with a dot, environments and caches are left out; links as well, for they may lead outside. Nothing
    of the workspace is written or run.
    """

    def __init__(self, root: Path, stopped: Event | None = None) -> None:
        self.root = root
        self._stopped = stopped or Event()
        self._holder = Path(tempfile.mkdtemp(prefix="risk-lsp-copy-"))
        self.folder = self._holder / "workspace"

    def __enter__(self) -> WorkspaceCopy:
        try:
            files = size = 0
            self.folder.mkdir(mode=0o755)
            for path in workspace_files(self.root):
                if self._stopped.is_set():
                    raise RepairError("the copy was stopped", "start it again")
                try:
                    length = path.stat().st_size
                    if length > _FILE_AT_MOST:
                        continue
                    files, size = files + 1, size + length
                    if files > _FILES_AT_MOST or size > _BYTES_AT_MOST:
                        raise RepairError(f"{self.root} is too large to be copied for its tests", _HINT)
                    target = self.folder / path.relative_to(self.root)
                    target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
                    shutil.copyfile(path, target)
                    # Inside, an unprivileged user reads it; outside, the folder around it keeps others away.
                    target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
                except OSError:
                    continue  # gone meanwhile, or not for this user to read: the tests will say if they need it
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the copy."""
        shutil.rmtree(self._holder, ignore_errors=True)


def workspace_files(root: Path) -> Iterator[Path]:
    """The files of a workspace that a copy takes: no links, nothing hidden, no environments, no caches."""
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        inside = (name for name in folders if name not in _LEFT_OUT and not name.endswith(".egg-info"))
        visible = (name for name in inside if not name.startswith(".") and not (here / name).is_symlink())
        folders[:] = sorted(name for name in visible if not (here / name / "pyvenv.cfg").exists())
        for name in sorted(names):
            path = here / name
            if not name.startswith(".") and not path.is_symlink() and path.is_file():
                yield path


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
            tests = harness.RUN_COMMAND.format(command=self.command)
        elif self.kind == "pytest":
            tests = harness.RUN_PYTEST.format(files=list(self.files))
        else:
            tests = harness.RUN_DOCTEST.format(module=PurePosixPath(self.place).stem)
        return harness.workspace_script(program, self.place) + tests

    def watching_script(self, program: str) -> str | None:
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
    own = (root / name / "bin" / "python" for name in (".venv", "venv") if (root / name / "pyvenv.cfg").is_file())
    runner = python or next((each for each in own if each.exists()), None)
    shown = "python" if runner is None else str(runner)
    if command is not None and command.strip():
        return TestPlan("command", command.strip(), root, place, python=runner)
    if workspace is not None and (files := tuple(islice(_importing(root, place), _MATCHES_AT_MOST))):
        words = " ".join(f"'{file}'" if " " in file else file for file in files)
        return TestPlan("pytest", f"{shown} -m pytest -x -q {words}", root, place, files, runner)
    if has_doctests(text):
        return TestPlan("doctest", f"{shown} -m doctest {place}", root, place, python=runner)
    return None


def has_doctests(text: str) -> bool:
    """Whether a docstring of the program holds examples."""
    tree = syntax_tree(text)
    if tree is None or ">>>" not in text:
        return False
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            with contextlib.suppress(ValueError):  # of examples that doctest cannot read
                if doctest.DocTestParser().get_examples(ast.get_docstring(node) or ""):
                    return True
    return False


def _importing(root: Path, place: str) -> Iterator[str]:
    """The test files of a workspace that import the file at `place`."""
    # The names by which a file may be imported: pkg/a.py is pkg.a, and a for tests beside it.
    parts = list(PurePosixPath(place).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    modules = {".".join(parts[start:]) for start in range(len(parts))}
    tests = (path for path in workspace_files(root) if path.match("test_*.py") or path.match("*_test.py"))
    for path in islice(tests, _TEST_FILES_AT_MOST):
        try:
            if path.stat().st_size > _TEST_FILE_BYTES:
                continue
            tree = syntax_tree(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError):
            continue
        here = path.relative_to(root).as_posix()
        if tree is not None and here != place and modules & set(_imported_names(tree)):
            yield here


def _imported_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)
