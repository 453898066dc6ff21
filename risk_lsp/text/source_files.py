"""Source files: which ones a person means, their language, and their text or an error that says why not."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from risk_lsp.errors import BadInput
from risk_lsp.text.document import LineIndex

PLAIN_TEXT = "plaintext"
PROSE_LANGUAGES = frozenset({"markdown", "restructuredtext"})
NOT_FOR_PROSE = "it is prose, in which slips are found hardly better than by chance"

_BY_SUFFIX = {
    ".py": "python",
    ".pyi": "python",
    ".pyw": "python",
    ".js": "javascript",
    ".cjs": "javascript",
    ".mjs": "javascript",
    ".jsx": "javascriptreact",
    ".ts": "typescript",
    ".cts": "typescript",
    ".mts": "typescript",
    ".tsx": "typescriptreact",
    ".java": "java",
    ".kt": "kotlin",
    ".scala": "scala",
    ".c": "c",
    ".h": "c",
    ".cc": "cpp",
    ".cpp": "cpp",
    ".cxx": "cpp",
    ".hh": "cpp",
    ".hpp": "cpp",
    ".cs": "csharp",
    ".go": "go",
    ".rs": "rust",
    ".swift": "swift",
    ".rb": "ruby",
    ".php": "php",
    ".pl": "perl",
    ".lua": "lua",
    ".r": "r",
    ".jl": "julia",
    ".sh": "shellscript",
    ".bash": "shellscript",
    ".sql": "sql",
    ".html": "html",
    ".css": "css",
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".md": "markdown",
    ".rst": "restructuredtext",
}


def language_of(path: str | os.PathLike[str]) -> str:
    """The language identifier of a file, by its suffix in any case; "plaintext" if the suffix is not known."""
    return _BY_SUFFIX.get(PurePath(path).suffix.lower(), PLAIN_TEXT)


_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_source(path: str | os.PathLike[str], max_bytes: int = 2_000_000) -> str:
    """The text of a UTF-8 file, with its line terminators as they are and without a byte order mark.

    Raises BadInput if the file is missing, not a regular file, unreadable, larger than `max_bytes`, binary (it holds a
    NUL byte), or not UTF-8.
    """
    data = _read_bytes(Path(path), max_bytes)
    if data.startswith(_UTF16_MARKS):
        raise BadInput(f"{path} is UTF-16 text", "convert it to UTF-8")
    if b"\0" in data:
        raise BadInput(f"{path} is a binary file: byte {data.index(0)} is NUL", "give a text file")
    body = data.removeprefix(codecs.BOM_UTF8)
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = LineIndex(body[: error.start].decode("utf-8")).count
        offset = error.start + len(data) - len(body)
        raise BadInput(f"{path} is not valid UTF-8 at byte {offset}, line {line}", "convert it to UTF-8") from error


def _read_bytes(path: Path, max_bytes: int) -> bytes:
    try:
        # Refuse what is not a file before it is opened: a pipe would block until somebody writes to it.
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise BadInput(f"{path} is a folder", "give a file in it")
        if not stat.S_ISREG(mode):
            raise BadInput(f"{path} is not a regular file", "give a file with source code")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
            size = max(os.fstat(file.fileno()).st_size, len(data))
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist", "check the path") from error
    except PermissionError as error:
        raise BadInput(f"{path} cannot be read: permission denied", "make it readable") from error
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}", "check the path") from error
    if len(data) > max_bytes:
        raise BadInput(f"{path} is too large: {size:,} bytes, limit {max_bytes:,}", "split it or leave it out")
    return data


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
    found = []
    for parent, folders, names in os.walk(path):
        inside = (name for name in folders if name not in _NOT_THE_PROJECT and not name.endswith(".egg-info"))
        visible = (name for name in inside if not name.startswith("."))
        # With this file a folder is a virtual environment, by any name.
        folders[:] = sorted(name for name in visible if not Path(parent, name, "pyvenv.cfg").exists())
        python = (name for name in sorted(names) if name.endswith(".py") and not name.startswith("."))
        found += [FoundFile(Path(parent, name), named=False) for name in python]
    if not found:
        raise BadInput(f"{path} holds no Python files", "name a file, or a folder with .py files that are not hidden")
    return found


def without_repeats(files: Sequence[FoundFile]) -> list[FoundFile]:
    """Each file once, where it came first, whatever it was called."""
    return list({os.path.realpath(each.path): each for each in reversed(files)}.values())[::-1]
