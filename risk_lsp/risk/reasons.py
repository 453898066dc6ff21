"""What reports say of a line beside its probability, and how they count."""

from __future__ import annotations

from risk_lsp.risk.check import FileReport, LineRisk
from risk_lsp.risk.terminal_text import printable


def words_of(report: FileReport, line: LineRisk) -> list[str]:
    """The pieces of the line that carry most of its probability, as they can be shown."""
    return [printable(report.text[word.start : word.end]) for word in line.words]


def reasons(report: FileReport, line: LineRisk) -> str:
    """Where the probability comes from, and what such a number has meant; empty if neither is known."""
    words = " ".join(f"`{word}`" for word in words_of(report, line))
    return "; ".join(part for part in (f"most of it from {words}" if words else "", line.reference) if part)


def code_of(report: FileReport, line: LineRisk) -> str:
    """The line without the white space around it, as it can be shown."""
    return printable(report.text[line.span.start : line.span.end])


def counted(number: int, thing: str) -> str:
    """ "1 line", "2 lines" """
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
