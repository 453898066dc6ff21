"""Spans of code-point offsets."""

from __future__ import annotations

from typing import NamedTuple

from risk_lsp.text.document import Document
from risk_lsp.text.lines import LineIndex


class Span(NamedTuple):
    """The characters [start, end) of a text."""

    start: int
    end: int


def stripped_line_spans(source: Document | str) -> list[Span]:
    """One span per line, without the white space around its content; a blank line has the empty span at its start."""
    lines = LineIndex(source) if isinstance(source, str) else source.lines
    return list(map(Span._make, lines.stripped.tolist()))


def stripped_line_span(document: Document, line: int) -> Span:
    """The same of one line. Raises IndexError where there is none."""
    return Span(*document.lines.stripped[line].tolist())
