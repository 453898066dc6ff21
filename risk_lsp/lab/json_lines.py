"""JSON Lines (plain, .gz or .xz) with strict, typed access to their fields: what is wrong is named with its place.

And the records of a run under way, in a folder or an object store: a run that was cut short goes on from them.
"""

from __future__ import annotations

import gzip
import json
import lzma
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
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


_PART_RECORDS = 2000
_OBJECT_SECONDS = 30.0
_SETTINGS = "settings.json"


class _Folder:
    """The parts of a folder. `seconds`: after which what was written has to be closed to be safe."""

    seconds = float("inf")  # a line is safe as soon as it is written

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def parts(self) -> list[str]:
        return [path.name for path in self._folder.glob("part-*.jsonl")]

    def records(self, name: str) -> Iterator[dict[str, Any]]:
        return (record for _, record in read_appended(self._folder / name))

    def read(self, name: str) -> str | None:
        return path.read_text("utf-8") if (path := self._folder / name).exists() else None

    def create(self, name: str) -> IO[str]:
        return (self._folder / name).open("x", encoding="utf-8")


class _ObjectStore:
    """The parts of a folder in an object store."""

    seconds = _OBJECT_SECONDS  # an object is there once it is whole

    def __init__(self, url: str) -> None:
        try:
            import fsspec

            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise BadInput(f"{url}: {error}", "pip install 'risk-lsp[cluster]', and what fsspec needs for it") from None

    def parts(self) -> list[str]:
        return [str(name).rpartition("/")[2] for name in self._files.glob(f"{self._root}/part-*.jsonl")]

    def records(self, name: str) -> Iterator[dict[str, Any]]:
        return (json.loads(line) for line in (self.read(name) or "").splitlines())

    def read(self, name: str) -> str | None:
        place = f"{self._root}/{name}"
        return self._files.cat_file(place).decode("utf-8") if self._files.exists(place) else None

    def create(self, name: str) -> IO[str]:
        file: IO[str] = self._files.open(f"{self._root}/{name}", "w", encoding="utf-8")
        return file


class RecordStore:
    """The records of a folder, or of a URL that fsspec knows, such as s3://bucket/folder.

    A context manager. Each run writes parts of its own; a last line that was cut short when a run was killed is
    removed. BadInput if it was begun with other settings, or cannot be reached.
    """

    def __init__(self, place: str, settings: dict[str, Any]) -> None:
        self._files: _Folder | _ObjectStore = _ObjectStore(place) if "://" in place else _Folder(Path(place))
        try:
            known = None if (text := self._files.read(_SETTINGS)) is None else json.loads(text)
        except ValueError as error:
            raise BadInput(f"{place}/{_SETTINGS} is damaged: {error}", "remove the folder to begin anew") from error
        if known is None:
            with self._files.create(_SETTINGS) as file:
                file.write(json.dumps(settings, indent=1) + "\n")
        elif known != settings:
            raise BadInput(
                f"{place} was begun with other settings: {json.dumps(known)}",
                "use the same ones to go on, or another folder",
            )
        numbers = (int(name.removeprefix("part-").removesuffix(".jsonl")) for name in self._files.parts())
        self._number = max(numbers, default=-1)
        self._part: IO[str] | None = None
        self._written, self._began = 0, 0.0

    def __enter__(self) -> RecordStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_part()

    def records(self) -> Iterator[dict[str, Any]]:
        """Every record so far, oldest first."""
        for name in sorted(self._files.parts()):
            yield from self._files.records(name)

    def append(self, record: dict[str, Any]) -> None:
        """Write one record. In a folder it survives the end of this process at once, elsewhere after half a minute."""
        if self._part is None:
            self._number += 1
            self._part, self._began = self._files.create(f"part-{self._number:05}.jsonl"), time.monotonic()
        self._part.write(json.dumps(record) + "\n")
        self._part.flush()
        self._written += 1
        if self._written == _PART_RECORDS or time.monotonic() - self._began > self._files.seconds:
            self._end_part()

    def _end_part(self) -> None:
        if self._part is not None:
            self._part.close()
        self._part, self._written = None, 0
