"""What people read: each file with its lines shaded by probability, the lines of a diff, or one span."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

from risk_lsp.errors import BadInput
from risk_lsp.probe.calibration import Place, Priors
from risk_lsp.probe.manifest import ReferenceTable
from risk_lsp.report.check import CheckResult, FileReport, likeliest_first
from risk_lsp.report.wording import above, code_of, count_of, printable, reasons
from risk_lsp.risk.changes import TextPlace, places_of
from risk_lsp.risk.presentation import (
    code_line_risks,
    document_risk,
    driving_words,
    ordinal,
    percent,
    place_risks,
    ranks_of,
)
from risk_lsp.risk.span_risk import Scorer
from risk_lsp.text.document import LineIndex, Span, stripped_line_spans
from risk_lsp.text.source_files import language_of, read_source


def diff_rows(result: CheckResult) -> Iterator[Text]:
    """The likeliest changed lines, what to keep in mind of their files, and a summary."""
    named = likeliest_first(result.reports, lambda report: report.worth_reading)
    if named:
        what = "line" if len(named) == 1 else f"{len(named)} lines"
        yield Text(f"The {what} worth reading in this diff", "bold")
    for number, (report, line) in enumerate(named, start=1):
        place = f"{printable(str(report.path))}:{line.line + 1}"
        # The rank within the file would tell nothing here: these lines are ranked over all files.
        shown = ordinal(number) if line.standing.gives == "order" else percent(line.probability)
        yield Text.assemble(f"  {shown:>4} ", (place, "bold"), f"  {code_of(report, line)}")
        if reason := reasons(report, line):
            yield Text(f"       {reason}", "dim")
    for report in {id(report): report for report, _ in named}.values():
        if report.outside is not None:
            yield Text(f"  {printable(str(report.path))} is outside the calibrated range: {report.outside}", "italic")
    orders = (line.standing.why for report, line in named if report.outside is None)
    for why in dict.fromkeys(orders):
        if why is not None:
            yield Text(f"  no percentages: {why}", "italic")
    base = printable(str(result.base))
    counts = []
    for report in result.reports:
        has_code = ~np.isnan(report.code_probabilities)
        changed_code = has_code if report.changed is None else has_code & report.changed
        counts += [int(np.count_nonzero(changed_code))] if changed_code.any() else []
    if counts:
        changed = f"{count_of(sum(counts), 'changed line')} of code in {count_of(len(counts), 'file')}"
        yield Text(f"{changed} since {base}, {above(result)}")
    else:
        yield Text(f"No line of code was added or changed since {base}")


# Four steps of shading; colours say what the bars and the percentages say too. Text and background are set together,
# so that they can be read on dark and on light terminals.
_STEPS = (0.10, 0.20, 0.30)
_STYLES = ("", "#1f1f1f on #fdf1b8", "#1f1f1f on #f9c97c", "bold #ffffff on #b83227")

# A file longer than this is not shown whole: runs of lines of the lowest step are cut down to their ends.
_SHOWN_WHOLE = 120
_CONTEXT = 2


@dataclass(frozen=True)
class TextStyle:
    """How to print: in colour or not, and with characters that every encoding has or not."""

    color: bool = False
    ascii_only: bool = False


def text_report(result: CheckResult, style: TextStyle) -> str:
    """All files, one after the other, and a summary."""
    output = io.StringIO()
    console = Console(
        file=output,
        force_terminal=style.color,
        color_system="auto" if style.color else None,
        highlight=False,
        width=100,
    )
    _print(console, result, style)
    return output.getvalue()


def svg_report(result: CheckResult, title: str) -> str:
    """The same as a picture of a terminal. It loads nothing from anywhere."""
    console = Console(file=io.StringIO(), record=True, force_terminal=True, color_system="truecolor", width=100)
    _print(console, result, TextStyle(color=True))
    return re.sub(r"@font-face\s*\{[^}]*\}\s*", "", console.export_svg(title=title))


def _print(console: Console, result: CheckResult, style: TextStyle) -> None:
    if result.base is not None:
        rows = list(diff_rows(result))
    else:
        rows = [row for report in result.reports for row in _file(report, style)]
        rows.append(Text(f"{count_of(len(result.reports), 'file')}, {above(result)}"))
    for row in rows:
        console.print(row, soft_wrap=True)
    for file in result.passed_over:
        console.print(Text(f"{printable(str(file.path))} was passed over: {file.reason}", "italic"), soft_wrap=True)


def _file(report: FileReport, style: TextStyle) -> Iterator[Text]:
    name = printable(str(report.path))
    whole = report.placed.whole
    percentage = f"{percent(report.document)} that something has to be edited"
    yield Text.assemble((name, "bold"), f": {percentage if whole.gives == 'percent' else 'lines in the order to read'}")
    if report.outside is not None:
        yield Text(f"  outside the calibrated range: {report.outside}", "italic")
    else:
        for why in report.placed.orders().values():
            yield Text(f"  no percentages: {why}", "italic")
    for function, standing in report.functions:
        yield Text(f"  {standing.short(function.probability):>4} {function.node.kind} {function.node.name}")
    yield Text()
    yield from _code(report, style)
    yield Text()
    if report.worth_reading:
        yield Text("  Most worth reading", "bold")
    for line in report.worth_reading:
        code = printable(report.text[line.span.start : line.span.end])
        yield Text(f"  line {line.line + 1}, {line.standing.short(line.probability)}: {code}")
        if why := reasons(report, line):
            yield Text(f"    {why}", "dim")
    yield Text()


def _code(report: FileReport, style: TextStyle) -> Iterator[Text]:
    spans = stripped_line_spans(report.text)
    digits = len(str(report.lines.count))
    # What stands before each line of the file: its percentage, or its rank, or nothing if it holds no code.
    numbers = [
        "" if math.isnan(probability) else report.placed.of_line(number, report.ranks).short(probability)
        for number, probability in enumerate(report.code_probabilities.tolist())
    ]
    width = max(4, *map(len, numbers))
    for line in _shown_lines(report):
        if line is None:
            yield Text(f"  {'...' if style.ascii_only else '⋮'}", "dim")
        else:
            indent = report.text[report.lines.start(line) : spans[line].start]
            code = report.text[spans[line].start : spans[line].end]
            step = sum(float(report.code_probabilities[line]) >= limit for limit in _STEPS)
            block, rule = ("#", "|") if style.ascii_only else ("█", "│")
            gutter = f"  {numbers[line]:>{width}} {block * step:<3} {line + 1:>{digits}} {rule} "
            weight = "bold" if step == len(_STEPS) else "dim"
            yield Text.assemble((gutter, weight), printable(indent), (printable(code), _STYLES[step]))


def _shown_lines(report: FileReport) -> Iterator[int | None]:
    """The lines to show, in order; None stands for a run that is left out."""
    probabilities = report.code_probabilities
    if report.lines.start(report.lines.count - 1) == len(report.text):
        probabilities = probabilities[:-1]  # what follows the last line break is no line to people
    if len(probabilities) <= _SHOWN_WHOLE:
        yield from range(len(probabilities))
        return
    for is_low, run in groupby(range(len(probabilities)), key=lambda line: not probabilities[line] >= _STEPS[0]):
        lines = list(run)
        if is_low and len(lines) > 2 * _CONTEXT + 1:
            yield from lines[:_CONTEXT]
            yield None
            yield from lines[-_CONTEXT:]
        else:
            yield from lines


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
