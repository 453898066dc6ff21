"""One span of one file: as people write it on a command line, and its probability in words."""

from __future__ import annotations

import re
from pathlib import Path

from risk_lsp.errors import BadInput
from risk_lsp.probe.calibration import Place, Priors
from risk_lsp.probe.manifest import ReferenceTable
from risk_lsp.report.wording import printable
from risk_lsp.risk.changes import TextPlace, places_of
from risk_lsp.risk.presentation import code_line_risks, document_risk, driving_words, percent, place_risks, ranks_of
from risk_lsp.risk.span_risk import Scorer
from risk_lsp.text.document import LineIndex, Span, stripped_line_spans
from risk_lsp.text.source_files import language_of, read_source

FORMS = "120-180 (characters, from 0), 12:5-14:1 (line:column, from 1), or L12-L14 or L12 (whole lines, from 1)"

_OFFSETS = re.compile(r"(\d+)-(\d+)")
_POSITIONS = re.compile(r"(\d+):(\d+)-(\d+):(\d+)")
_LINES = re.compile(r"[Ll](\d+)(?:-[Ll]?(\d+))?")


def parse_span(argument: str, text: str) -> Span:
    """The span of `text` that the argument means, in one of FORMS; an end is the first character that is left out.

    Whole lines are taken without the white space around them. Raises BadInput for another form, or for a place that the
    text does not have.
    """
    lines = LineIndex(text)
    if match := _OFFSETS.fullmatch(argument):
        start, end = map(int, match.groups())
        if max(start, end) > len(text):
            raise BadInput(f"character {max(start, end)} is outside of the text", f"it has {len(text)} characters")
    elif match := _POSITIONS.fullmatch(argument):
        first_line, first_column, last_line, last_column = map(int, match.groups())
        start, end = _offset(lines, first_line, first_column), _offset(lines, last_line, last_column)
    elif match := _LINES.fullmatch(argument):
        numbers = [int(group) for group in match.groups() if group is not None]
        start, end = lines.start(_line(lines, numbers[0])), lines.content_end(_line(lines, numbers[-1]))
        content = text[start:end]
        if start < end and content.strip():
            start, end = start + len(content) - len(content.lstrip()), start + len(content.rstrip())
    else:
        raise BadInput(f"{argument!r} is not a span", f"write it as {FORMS}")
    if start > end:
        raise BadInput(f"the span {argument} ends before it starts", "swap its ends")
    return Span(start, end)


def _offset(lines: LineIndex, line: int, column: int) -> int:
    index = _line(lines, line)
    start, end = lines.start(index), lines.content_end(index)
    if not 1 <= column <= end - start + 1:
        raise BadInput(f"line {line} has no column {column}", f"its columns are 1 to {end - start + 1}")
    return start + column - 1


def _line(lines: LineIndex, line: int) -> int:
    if not 1 <= line <= lines.count:
        raise BadInput(f"the text has no line {line}", f"its lines are 1 to {lines.count}")
    return line - 1


def describe_span(
    engine: Scorer, path: Path, argument: str, reference: ReferenceTable, priors: Priors, place: Place | None = None
) -> str:
    """What is known of a span: where it is, its probability, what drives it, and what such a number has meant.

    The last is said of whole lines only, since held-out lines are what was counted. Where only the order is known, the
    rank of its first line to read stands for the probability, and why. `place` is that of all lines; None lets git and
    what is installed decide. Raises BadInput for a file that cannot be read or a span that it does not have.
    """
    text = read_source(path)
    span = parse_span(argument, text)
    language_id = language_of(path)
    lines = LineIndex(text)
    kind = places_of([path])[0] if place is None else TextPlace(place)
    here = place_risks(engine.score(text, language_id), lines, kind.of_lines(lines), priors, language_id)
    standing = here.of_span(span, ranks_of(code_line_risks(here.risks, text, language_id)))
    probability = here.risks.probability(span.start, span.end)
    ends = []
    for offset in span:
        line = lines.line_of(offset)
        ends.append(f"{line + 1}:{offset - lines.start(line) + 1}")
    where = f"{'-'.join(ends)} (characters {span.start}-{span.end})"
    rows = [f"{printable(str(path))} {where}: {standing.sentence(probability)}"]
    words = driving_words(here.risks, text, span)
    if words:
        rows.append("  most of it from " + " ".join(f"`{printable(text[word.start : word.end])}`" for word in words))
    if standing.why is not None:
        rows.append(f"  no percentage: {standing.why}")
    elif span.start < span.end and span in stripped_line_spans(text):
        rows += [f"  {meaning}" for meaning in [reference.sentence(probability)] if meaning]
    if here.whole.gives == "percent":
        rows.append(f"  the whole file: {percent(document_risk(here.risks))}")
    return "\n".join(rows) + "\n"
