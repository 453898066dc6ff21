"""JSON Lines (plain, .gz or .xz) with strict, typed access to their fields: what is wrong is named with its place."""

from __future__ import annotations

import gzip
import json
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from risk_lsp.errors import BadInput

Record = TypeVar("Record")
_KIND_NAMES: dict[type, str] = {str: "a text", int: "a whole number", bool: "true or false", list: "a list"}


class Fields:
    """Typed access to one record; `hint` says what a record has."""

    def __init__(self, record: dict[str, Any], where: str, hint: str) -> None:
        self._record = record
        self._where = where
        self._hint = hint

    def get(self, name: str, kind: type[Record], **default: Record) -> Record:
        """The field's value; `default=...` stands in for one that is absent or null."""
        value = self._record.get(name)
        if value is None and "default" in default:
            return default["default"]
        if name not in self._record:
            raise self.error(f"field {name!r} is missing")
        # JSON's true is an int to Python.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(f"field {name!r} holds {json.dumps(value)[:40]}, not {_KIND_NAMES[kind]}")
        return value

    def optional(self, name: str, kind: type[Record]) -> Record | None:
        """The field's value, or None where it is absent or null."""
        return None if self._record.get(name) is None else self.get(name, kind)

    def nullable(self, name: str, kind: type[Record]) -> Record | None:
        """The field's value, or None where it is null; unlike an optional one it may not be absent."""
        return None if self._record.get(name, ...) is None else self.get(name, kind)

    def translate(self, translate: Callable[[dict[str, Any]], dict[str, Any]]) -> Fields:
        """The same record in other words."""
        try:
            return Fields(translate(self._record), self._where, self._hint)
        except (ValueError, TypeError, AttributeError) as error:
            raise self.error(f"its tests cannot be read: {error}") from error

    def error(self, what: str) -> BadInput:
        """What to raise where the record is wrong."""
        return BadInput(f"{self._where}: {what}", self._hint)


def read_fields(path: Path, hint: str) -> Iterator[Fields]:
    """The records of a file. BadInput for what cannot be read, with `hint`."""
    for where, record in read_objects(path):
        yield Fields(record, where, hint)


def read_objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file of JSON Lines, each with its place. BadInput for what cannot be read."""
    number = 0
    try:
        packed: dict[str, Callable[..., IO[str]]] = {".xz": lzma.open, ".gz": gzip.open}
        with packed.get(path.suffix, open)(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    where = f"{path}:{number}"
                    yield where, _record(line, where)
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}:{number + 1}: is not UTF-8", "save the file as UTF-8") from error
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise BadInput(f"{path} cannot be read: {error}", "check the path, or fetch the file again") from error


def read_appended(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a file that several runs append to; none if it is not there yet.

    A last line that was cut short when a run was killed is removed from the file. BadInput for what cannot be read.
    """
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
    yield from read_objects(path)


def _record(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise BadInput(f"{where}: is not JSON ({error.msg} at column {error.colno})", "one record per line") from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: is not JSON ({error})", "one record per line") from error
    if not isinstance(record, dict):
        raise BadInput(f"{where}: is not a JSON object", "one record per line")
    return record
