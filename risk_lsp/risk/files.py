"""Which files a person means who names files and folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from risk_lsp.errors import BadInput

# Folders that hold no code of the project itself. Hidden ones are left out too.
_NOT_THE_PROJECT = frozenset({"__pycache__", "build", "dist", "env", "node_modules", "site-packages", "venv"})


@dataclass(frozen=True)
class FoundFile:
    """A file to read; `named` says that the person named it, and not just a folder around it."""

    path: Path
    named: bool


def find_files(path: Path) -> list[FoundFile]:
    """The file itself, or all Python files below a folder in the order of their names.

    Hidden files and folders, virtual environments, build output and installed packages are left out, and links to
    folders are not followed. Raises BadInput for a folder without Python files; a path that does not exist counts as a
    file, for the reader to complain about.
    """
    if not path.is_dir():
        return [FoundFile(path, named=True)]
    found = [FoundFile(each, named=False) for each in _python_files(path)]
    if not found:
        raise BadInput(f"{path} holds no Python files", "name a file, or a folder with .py files that are not hidden")
    return found


def without_repeats(files: Sequence[FoundFile]) -> list[FoundFile]:
    """Each file once, where it came first, whatever it was called."""
    return list({os.path.realpath(each.path): each for each in reversed(files)}.values())[::-1]


def _python_files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if _is_project_folder(Path(parent, name)))
        yield from (Path(parent, name) for name in sorted(names) if name.endswith(".py") and not name.startswith("."))


def _is_project_folder(folder: Path) -> bool:
    name = folder.name
    if name.startswith(".") or name in _NOT_THE_PROJECT or name.endswith(".egg-info"):
        return False
    return not (folder / "pyvenv.cfg").exists()  # a virtual environment by any name
