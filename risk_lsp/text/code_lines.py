"""Which lines of a text hold code: not blank, not only a comment, not part of a docstring."""

from __future__ import annotations

import re
from bisect import bisect_right

from risk_lsp.text.spans import Span, stripped_line_spans
from risk_lsp.text.structure import Structure, parse_structure

_STRING_ALONE = re.compile(r"""[rRuU]?(\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')""", re.DOTALL)


def code_line_spans(
    text: str, language_id: str, within: Span | None = None, structure: Structure | None = None
) -> list[Span]:
    """The stripped spans of the lines that hold code, in order; only lines that start inside `within`, if it is given.

    A docstring is a statement that is nothing but a string. In a language without a grammar every line that is not
    blank counts, for comments cannot be told. `structure` is the text's, if it is known already.
    """
    lines = [span for span in stripped_line_spans(text) if span.start < span.end]
    if within is not None:
        lines = [span for span in lines if within.start <= span.start < within.end]
    if language_id != "python":
        return lines
    statements = (structure or parse_structure(text, language_id)).statements
    docstrings = [node.span for node in statements if _is_docstring(text, node.span)]
    return [line for line in lines if text[line.start] != "#" and not _inside_any(line, docstrings)]


def _is_docstring(text: str, span: Span) -> bool:
    return _STRING_ALONE.fullmatch(text, span.start, span.end) is not None


def _inside_any(line: Span, spans: list[Span]) -> bool:
    """Whether one of the spans, which are in order and do not overlap, holds the line."""
    place = bisect_right(spans, line.start, key=lambda span: span.start) - 1
    return place >= 0 and line.end <= spans[place].end
