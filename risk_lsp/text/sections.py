"""Where a long text falls into parts: a probe that learnt from short programs reads each part as one of those."""

from __future__ import annotations

import re

from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span

WHOLE = 200  # lines; a text of at most so many is one part, and so is every program that the built-in probe learnt from
LEAST = 20  # lines of a part
_GOES_ON = re.compile(r"\s|[)\]}]|(?:else|elif|except|finally)\b|\Z")


def sections(text: str) -> list[Span]:
    """The parts of a text, in order and without gaps: each ends before a line at the margin with which something new
    begins (no clause, no closing bracket, nothing below a decorator), and has at least LEAST lines."""
    starts = LineIndex(text).starts.tolist()
    if len(starts) <= WHOLE:
        return [Span(0, len(text))]
    cuts, line_of_cut, decorated = [0], 0, False
    for line, start in enumerate(starts):
        if _GOES_ON.match(text, start):
            continue
        if line - line_of_cut >= LEAST and len(starts) - line >= LEAST and not decorated:
            cuts.append(start)
            line_of_cut = line
        decorated = text[start] == "@"
    return [Span(start, end) for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True)]
