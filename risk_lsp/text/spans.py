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
    text, starts = lines.text, lines.starts.tolist()
    return [_stripped(text, start, end) for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def _stripped(text: str, start: int, end: int) -> Span:
    from_first = text[start:end].lstrip()
    if not from_first:
        return Span(start, start)
    first = end - len(from_first)
    return Span(first, first + len(from_first.rstrip()))
