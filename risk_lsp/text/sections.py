"""Where a text falls into parts: a probe that learnt from short programs reads each part as one of those.

A function at the margin is a part, with its decorators; so is each method of a class, the first one together with the
head of the class; and so is what stands between those, in pieces if it is long. So an edit changes the parts it touches
and no others, and a function's numbers do not depend on how many others its file holds.
"""

from __future__ import annotations

import re
from itertools import pairwise

from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span

# Lines, with the empty one behind a last line break; a text of at most so many is one part. docs/probe-attempts.md says
# what that was chosen by.
WHOLE = 50
LEAST = 20  # lines of a piece of what stands between functions
_BLANK_OR_GOES_ON = re.compile(r"[^\S\r\n]*(?:\r|\n|\Z)|[)\]}]|(?:else|elif|except|finally)\b")
_FUNCTION = re.compile(r"(?:async[ \t]+)?def\b")
_CLASS = re.compile(r"class\b")
_INDENTATION = re.compile(r"[ \t]*")


def sections(text: str) -> list[Span]:
    """The parts that a text is read in, in order and without gaps; each begins where a line does."""
    if len(LineIndex(text).starts) <= WHOLE:
        return [Span(0, len(text))]
    return function_parts(text)


def function_parts(text: str) -> list[Span]:
    """The functions of a text, however short it is, and what stands between them, in order and without gaps."""
    cutter = _Cutter()
    starts = LineIndex(text).starts.tolist()
    cuts = [start for line, start in enumerate(starts) if cutter.begins_part(text, line, start)]
    bounds = [0, *(cut for cut in cuts if cut > 0), len(text)]
    return [Span(start, end) for start, end in pairwise(bounds)]


class _Cutter:
    """Told one line after the other, says with which a part begins."""

    def __init__(self) -> None:
        self._inside = ""  # what the last line at the margin began: "function", "class", or "" for anything else
        self._decorated: int | None = None  # how far in the last decorator stands that nothing has followed yet
        self._methods = 0  # of the class, so far
        self._method_margin = 0
        self._first = 0  # line of the part

    def begins_part(self, text: str, line: int, start: int) -> bool:
        """Whether a part begins with that line, which begins with the character `start`."""
        if _BLANK_OR_GOES_ON.match(text, start):
            return False
        begins = self._at_margin(text, line, start) if not text[start].isspace() else self._within(text, start)
        if begins:
            self._first = line
        return begins

    def _at_margin(self, text: str, line: int, start: int) -> bool:
        kind = "function" if _FUNCTION.match(text, start) else "class" if _CLASS.match(text, start) else ""
        before, decorated = self._inside, self._decorated is not None
        is_decorator = text[start] == "@"
        self._inside, self._methods, self._method_margin = kind, 0, 0
        self._decorated = 0 if is_decorator else None
        if decorated:
            return False
        return bool(before or kind or is_decorator) or line - self._first >= LEAST

    def _within(self, text: str, start: int) -> bool:
        if self._inside != "class":
            return False
        margin = _INDENTATION.match(text, start).end() - start  # type: ignore[union-attr]  # it matches always
        is_decorator, is_method = text.startswith("@", start + margin), _FUNCTION.match(text, start + margin)
        if not (is_decorator or is_method) or (self._method_margin and margin != self._method_margin):
            return False
        self._method_margin = margin
        decorated, self._decorated = self._decorated is not None, 0 if is_decorator else None
        if decorated:
            return False
        self._methods += 1
        return self._methods > 1
