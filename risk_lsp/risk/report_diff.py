"""The report on a diff that people read: the lines most worth reading, over all its files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.text import Text

from risk_lsp.risk.check import CheckResult, FileReport, likeliest_first
from risk_lsp.risk.percent import percent
from risk_lsp.risk.reasons import code_of, counted, reasons
from risk_lsp.risk.terminal_text import printable


def diff_rows(result: CheckResult) -> Iterator[Text]:
    """The likeliest changed lines, what to keep in mind of their files, and a summary."""
    named = likeliest_first(result.reports, lambda report: report.worth_reading)
    if named:
        yield Text(_heading(len(named)), "bold")
    for report, line in named:
        place = f"{printable(str(report.path))}:{line.line + 1}"
        yield Text.assemble(f"  {percent(line.probability):>4} ", (place, "bold"), f"  {code_of(report, line)}")
        if why := reasons(report, line):
            yield Text(f"       {why}", "dim")
    for report in {id(report): report for report, _ in named}.values():
        if report.outside is not None:
            yield Text(f"  {printable(str(report.path))} is outside the calibrated range: {report.outside}", "italic")
    yield _summary(result)


def _heading(count: int) -> str:
    return "The line worth reading in this diff" if count == 1 else f"The {count} lines worth reading in this diff"


def _summary(result: CheckResult) -> Text:
    base = printable(str(result.base))
    lines = [count for count in map(_changed_code, result.reports) if count]
    if not lines:
        return Text(f"No line of code was added or changed since {base}")
    above = sum(len(report.findings) for report in result.reports)
    changed = f"{counted(sum(lines), 'changed line')} of code in {counted(len(lines), 'file')}"
    return Text(f"{changed} since {base}, {above:,} above {result.threshold:.0%}")


def _changed_code(report: FileReport) -> int:
    """How many lines of code changed."""
    has_code = ~np.isnan(report.code_probabilities)
    return int(np.count_nonzero(has_code if report.changed is None else has_code & report.changed))
