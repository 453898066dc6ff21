"""Source files from disk: text, or an error that says why not."""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path

from risk_lsp.errors import BadInput
from risk_lsp.text.lines import LineIndex

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
        _require_regular_file(path)
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


def _require_regular_file(path: Path) -> None:
    """Refuse what is not a file before it is opened: a pipe would block until somebody writes to it."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise BadInput(f"{path} is a folder", "give a file in it")
    if not stat.S_ISREG(mode):
        raise BadInput(f"{path} is not a regular file", "give a file with source code")
