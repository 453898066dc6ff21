"""Many programs in, their probabilities out: JSON Lines, in batches, resumed where an earlier run ended."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from risk_lsp.errors import BadInput
from risk_lsp.probe.calibration import Place, Priors, all_lines
from risk_lsp.risk.presentation import document_risk, line_risks, place_risks
from risk_lsp.risk.span_risk import Scorer, SpanRisk, in_batches
from risk_lsp.text.document import LineIndex

_PRIORS = Priors()
_MAX_CHARACTERS = 2_000_000
_WANTED = 'each line is a JSON object {"id": ..., "text": "..."}'


@dataclass(frozen=True)
class ScoreRecord:
    """A line of the input: its id (any JSON value) and its program, or what is wrong with it."""

    id: Any
    text: str
    error: BadInput | None = None


def read_records(path: Path) -> Iterator[ScoreRecord]:
    """The records of a JSONL file, one per line; a bad line is a record with an error that names file and line.

    Raises BadInput if the file cannot be read at all.
    """
    for number, line in enumerate(read_lines(path), start=1):
        place = f"{path}:{number}"
        try:
            value = json.loads(line.decode("utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            yield ScoreRecord(None, "", BadInput(f"{place} is not JSON: {error}", _WANTED))
            continue
        if not isinstance(value, dict) or "id" not in value or not isinstance(value.get("text"), str):
            identity = value.get("id") if isinstance(value, dict) else None
            yield ScoreRecord(identity, "", BadInput(f'{place} lacks an "id" or a "text"', _WANTED))
            continue
        yield ScoreRecord(value["id"], value["text"], _problem(value["text"], place))


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, with their line breaks. Raises BadInput if it cannot be read."""
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}", "check the path") from error


def scored_line(record: ScoreRecord, risk: SpanRisk, priors: Priors) -> str:
    """{"id", "document": p, "lines": [p or null per line of the text], "gives", and "why" if that is "order"}

    A program is generated text.
    """
    lines = LineIndex(record.text)
    here = place_risks(risk, lines, all_lines(Place.GENERATED, lines.count), priors, "python")
    probabilities = line_risks(here.risks, record.text).tolist()
    found = {
        "id": record.id,
        "document": round(document_risk(here.risks), 6),
        "lines": [None if math.isnan(each) else round(each, 6) for each in probabilities],
        "gives": here.whole.gives,
    }
    return json.dumps(found if here.whole.why is None else {**found, "why": here.whole.why}) + "\n"


def _problem(text: str, place: str) -> BadInput | None:
    if len(text) > _MAX_CHARACTERS:
        return BadInput(f"{place}: the text has {len(text):,} characters", f"split it; {_MAX_CHARACTERS:,} are allowed")
    if "\0" in text:
        return BadInput(f"{place}: the text holds a NUL character, so it is not a program", "leave the line out")
    if any("\ud800" <= character <= "\udfff" for character in text):
        return BadInput(f"{place}: the text holds half of a surrogate pair", "write the text as valid Unicode")
    return None


def score_file(
    engine: Scorer,
    source: Path,
    target: Path,
    *,
    skip_bad: bool = False,
    on_progress: Callable[[int], None],
    priors: Priors = _PRIORS,
) -> int:
    """Score each line of `source` into the same line of `target`; returns how many lines `target` then has.

    Lines that `target` already holds are kept and not scored again; a last line that was cut short is written anew.
    `on_progress` is told the number of finished lines; `priors`: what the bundle says of places. A bad line raises
    BadInput, after all before it were written, unless `skip_bad` puts the error into its place.
    """
    if source.resolve() == target.resolve():
        raise BadInput(f"{source} is both input and output", "write to another file")
    records = read_records(source)
    try:
        output = target.open("a+b")
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror}", "check the path") from error
    with output:
        done = _keep_finished(output, records, source, target)
        on_progress(done)
        for batch in in_batches(records, lambda record: len(record.text)):
            for line in _score_batch(engine, batch, priors, skip_bad=skip_bad):
                output.write(line.encode("utf-8"))
                done += 1
            output.flush()
            on_progress(done)
    return done


def count_lines(source: Path) -> int:
    """How many lines the file has. Raises BadInput if it cannot be read."""
    return sum(1 for _ in read_lines(source))


def _keep_finished(output: IO[bytes], records: Iterator[ScoreRecord], source: Path, target: Path) -> int:
    """Skip the records that an earlier run finished, cut off a torn last line, and leave `output` at its end."""
    output.seek(0)
    finished = end = 0
    for line in output:
        if not line.endswith(b"\n"):
            break
        _require_same_id(line, next(records, None), finished + 1, source, target)
        finished += 1
        end += len(line)
    output.truncate(end)
    output.seek(end)
    return finished


def _require_same_id(line: bytes, record: ScoreRecord | None, number: int, source: Path, target: Path) -> None:
    hint = "it holds the scores of another input; move it away, or name another output"
    try:
        value = json.loads(line)
    except ValueError as error:
        raise BadInput(f"{target}:{number} is not a line that this command wrote", hint) from error
    if record is None:
        raise BadInput(f"{target} has more lines than {source}", hint)
    if not isinstance(value, dict) or "id" not in value or value["id"] != record.id:
        raise BadInput(f"{target}:{number} is not about the program of {source}:{number}", hint)


def _score_batch(engine: Scorer, batch: list[ScoreRecord], priors: Priors, *, skip_bad: bool) -> Iterator[str]:
    """The lines of a batch, up to its first bad record unless those are skipped; then that record's error is raised."""
    first_bad = next((place for place, record in enumerate(batch) if record.error), len(batch))
    wanted = batch if skip_bad else batch[:first_bad]
    risks = iter(engine.score_many([record.text for record in wanted if not record.error]))
    for record in wanted:
        if record.error:  # its id is null where the line has none
            yield json.dumps({"id": record.id, "error": str(record.error)}) + "\n"
        else:
            yield scored_line(record, next(risks), priors)
    error = None if skip_bad else next((record.error for record in islice(batch, first_bad, None)), None)
    if error is not None:
        raise BadInput(error.message, f"{error.hint}; --skip-bad scores the other lines")
