"""The report as one page that needs nothing else: no network, no script."""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from risk_lsp.errors import BadInput
from risk_lsp.probe.manifest import ReferenceTable
from risk_lsp.report.check import DEFAULT_THRESHOLD, FileFailure, FilePassedOver, FileReport, LineRisk, likeliest_first
from risk_lsp.report.wording import NAME, Tool, code_of, count_of, printable, shows_unicode, words_of
from risk_lsp.risk.presentation import STEPS, heat_edges, heat_steps
from risk_lsp.text.document import stripped_line_spans

_TEMPLATES = Path(__file__).with_name("templates")


def html_report(
    reports: Sequence[FileReport],
    tool: Tool,
    reference: ReferenceTable,
    failures: Sequence[FileFailure] = (),
    threshold: float = DEFAULT_THRESHOLD,
    passed_over: Sequence[FilePassedOver] = (),
) -> str:
    """The page, a whole HTML document. Every name and every line of code in it is text, whatever it holds."""
    style = (_TEMPLATES / "report.css").read_text("utf-8")
    files = [_file(number, report, threshold) for number, report in enumerate(reports, start=1)]
    is_order = all(report.placed.orders() for report in reports) and bool(reports)
    loader = FileSystemLoader(_TEMPLATES)
    digest = hashlib.sha256(style.encode("utf-8")).digest()  # by it the page allows this style sheet and no other
    return (
        Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        .get_template("report.html")
        .render(
            title=files[0].name if len(files) == 1 else count_of(len(files), "file"),
            tool=f"{NAME} {tool.version}",
            bundle=tool.bundle,
            style=style,
            style_hash=f"sha256-{base64.b64encode(digest).decode('ascii')}",
            files=files,
            top=_top(reports, threshold) if len(files) > 1 else [],
            failures=[
                *(printable(str(each.error)) for each in failures),
                *(printable(f"{each.path} was passed over: {each.reason}") for each in passed_over),
            ],
            threshold=f"{threshold:.0%}",
            legend=_legend(threshold, is_order=is_order),
            is_order=is_order,
            classes=[each.sentence(reference.things) for each in reference.classes if each.n],
        )
    )


def write_page(page: str, output: Path | None) -> None:
    """Write the page to a file, or to stdout. Raises BadInput for a file that cannot be written."""
    if output is None:
        # A page says of itself that it is UTF-8; to a stream that is not, every other character goes as a reference.
        unicode = shows_unicode(sys.stdout)
        sys.stdout.write(page if unicode else page.encode("ascii", "xmlcharrefreplace").decode("ascii"))
        return
    try:
        output.write_text(page, "utf-8", newline="\n")
    except OSError as error:
        raise BadInput(f"{output} cannot be written: {error.strerror}", "check the path") from error


@dataclass(frozen=True)
class _Row:
    """A line of code as the heat map shows it; `chance` is empty for one that holds no code, or was passed over."""

    number: int
    chance: str
    step: int
    code: str


@dataclass(frozen=True)
class _TopLine:
    """A line worth reading, with where it is on the page."""

    target: str
    name: str
    number: int
    chance: str
    step: int
    code: str
    words: list[str]
    reference: str | None


@dataclass(frozen=True)
class _Function:
    target: str
    kind: str
    name: str
    chance: str


@dataclass(frozen=True)
class _File:
    """A file; `id` begins the ids of everything in it. `chance` is empty where only the order of lines is known."""

    id: str
    name: str
    language: str
    chance: str
    above: str
    outside: str | None
    orders: list[str]
    functions: list[_Function]
    top: list[_TopLine]
    rows: list[_Row]


def _file(number: int, report: FileReport, threshold: float) -> _File:
    name, identity = printable(str(report.path)), f"f{number}"
    return _File(
        id=identity,
        name=name,
        language=report.language_id,
        chance=report.placed.whole.short(report.document),
        above=count_of(len(report.findings), "line"),
        outside=report.outside,
        orders=[] if report.outside else list(report.placed.orders().values()),
        functions=_functions(report, identity),
        top=[_top_line(report, line, identity, threshold) for line in report.worth_reading],
        rows=_rows(report, threshold),
    )


def _functions(report: FileReport, identity: str) -> list[_Function]:
    return [
        _Function(
            target=f"{identity}-{report.lines.line_of(risk.node.span.start) + 1}",
            kind=risk.node.kind,
            name=printable(risk.node.name),
            chance=standing.short(risk.probability),
        )
        for risk, standing in report.functions
    ]


def _top(reports: Sequence[FileReport], threshold: float) -> list[_TopLine]:
    """The lines most worth reading of all files: as many as the file with the most of them has."""
    numbers = {id(report): number for number, report in enumerate(reports, start=1)}
    ranked = likeliest_first(reports, lambda report: report.worth_reading)
    most = max((len(report.worth_reading) for report in reports), default=0)
    return [_top_line(report, line, f"f{numbers[id(report)]}", threshold) for report, line in ranked[:most]]


def _top_line(report: FileReport, line: LineRisk, identity: str, threshold: float) -> _TopLine:
    return _TopLine(
        target=f"{identity}-{line.line + 1}",
        name=printable(str(report.path)),
        number=line.line + 1,
        chance=line.standing.short(line.probability),
        step=heat_steps(np.array([line.probability]), threshold)[0],
        code=code_of(report, line),
        words=words_of(report, line),
        reference=line.reference,
    )


def _rows(report: FileReport, threshold: float) -> list[_Row]:
    spans, starts = stripped_line_spans(report.text), report.lines.starts.tolist()
    probabilities = report.code_probabilities
    if report.changed is not None:
        probabilities = np.where(report.changed, probabilities, np.nan)
    steps = heat_steps(probabilities, threshold)
    rows = [
        _Row(
            number=line + 1,
            chance="" if np.isnan(probability) else report.placed.of_line(line, report.ranks).short(float(probability)),
            step=steps[line],
            code=printable(report.text[starts[line] : spans[line].end]),
        )
        for line, probability in enumerate(probabilities)
    ]
    # What follows the last line break is no line to people.
    return rows[:-1] if starts[-1] == len(report.text) else rows


def _legend(threshold: float, *, is_order: bool) -> list[tuple[int, str]]:
    if is_order:
        return list(zip(range(1, STEPS + 1), ("read last", "", "", "read first"), strict=True))
    edges = [f"{edge:.0%}" for edge in heat_edges(threshold)]
    upper = [f"below {edge}" for edge in edges[1:]] + [""]
    ranges = [f"{low} to {high}" if high else f"{low} and over" for low, high in zip(edges, upper, strict=True)]
    return list(zip(range(1, STEPS + 1), ranges, strict=True))
