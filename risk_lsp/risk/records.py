"""The lines of `risk-lsp score`: programs in, probabilities out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from risk_lsp.errors import BadInput
from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.risk.views import document_risk, line_risks

_MAX_CHARACTERS = 2_000_000
_WANTED = 'each line is a JSON object {"id": ..., "text": "..."}'


@dataclass(frozen=True)
class Record:
    """A line of the input: its id (any JSON value) and its program, or what is wrong with it."""

    id: Any
    text: str
    error: BadInput | None = None


def read_records(path: Path) -> Iterator[Record]:
    """The records of a JSONL file, one per line; a bad line is a record with an error that names file and line.

    Raises BadInput if the file cannot be read at all.
    """
    for number, line in enumerate(read_lines(path), start=1):
        yield _record(line, f"{path}:{number}")


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, with their line breaks. Raises BadInput if it cannot be read."""
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}", "check the path") from error


def scored_line(record: Record, risk: SpanRisk) -> str:
    """{"id", "document": p, "lines": [p or null per line of the text]}"""
    lines = [None if math.isnan(each) else round(each, 6) for each in line_risks(risk, record.text).tolist()]
    return json.dumps({"id": record.id, "document": round(document_risk(risk), 6), "lines": lines}) + "\n"


def error_line(record: Record) -> str:
    """{"id", "error"}; the id is null where the line has none."""
    return json.dumps({"id": record.id, "error": str(record.error)}) + "\n"


def _record(line: bytes, place: str) -> Record:
    try:
        value = json.loads(line.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        return Record(None, "", BadInput(f"{place} is not JSON: {error}", _WANTED))
    if not isinstance(value, dict) or "id" not in value or not isinstance(value.get("text"), str):
        identity = value.get("id") if isinstance(value, dict) else None
        return Record(identity, "", BadInput(f'{place} lacks an "id" or a "text"', _WANTED))
    return Record(value["id"], value["text"], _problem(value["text"], place))


def _problem(text: str, place: str) -> BadInput | None:
    if len(text) > _MAX_CHARACTERS:
        return BadInput(f"{place}: the text has {len(text):,} characters", f"split it; {_MAX_CHARACTERS:,} are allowed")
    if "\0" in text:
        return BadInput(f"{place}: the text holds a NUL character, so it is not a program", "leave the line out")
    if any("\ud800" <= character <= "\udfff" for character in text):
        return BadInput(f"{place}: the text holds half of a surrogate pair", "write the text as valid Unicode")
    return None
