"""The normal form in which a model reads Python: what no test can see (comments, blank lines, tabs) is not in it."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_INDENT = 4  # spaces a level
_TAB = 8  # columns, as Python counts them
_LEXEME = re.compile(
    r"""(?P<string>[rRbBuUfFtT]{0,2}(?:'''(?:[^\\]|\\.)*?(?:'''|\Z)|\"""(?:[^\\]|\\.)*?(?:\"""|\Z)"""
    r"""|'(?:[^'\\\r\n]|\\(?:\r\n|.))*'?|"(?:[^"\\\r\n]|\\(?:\r\n|.))*"?))"""
    r"""|(?P<comment>\#[^\r\n]*)|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<joined>\\(?=\r\n|\r|\n))|(?P<newline>\r\n|\r|\n)"""
    r"""|(?P<space>[ \t\f]+)|(?P<plain>[^\s'"\#()\[\]{}\\]+(?:[ \t]+[^\s'"\#()\[\]{}\\]+)*)|(?P<other>.)""",
    re.DOTALL,
)
_DEFINITION = re.compile(r"(?:async[ \t]+)?(?:def|class)\b|@")
_LINE_END = re.compile(r"\r\n|\r|\n")


class NormalForm(NamedTuple):
    """`text` is what is read. Its character i stands for the characters [starts[i], ends[i]) of the original.

    `starts` and `ends` are int64[len(text)] and never fall. A character that was put in stands for none.
    """

    text: str
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


def normal_form(text: str, language_id: str = "python") -> NormalForm:
    """The normal form of `text`; of a language other than Python, the text with line feeds as its only line ends.

    Comments, blank lines and white space at line ends are gone. A level of indentation is four spaces, and a line that
    goes on inside of brackets is one level deeper than its statement. A blank line stands before a function or class.
    Lines of a docstring stand below its start, or one level deeper. Other strings, and the rest of each line, are as
    they were.
    """
    form = _Builder(text)
    if language_id != "python":
        form.take_lines(0, len(text), 0)
        return form.built()
    columns, depth, column = [0], 0, 0  # of open blocks; open brackets; of the present line
    fresh, begins, decorated = True, True, False  # nothing yet on this line, of this statement; a decorator came before
    space: tuple[int, int] | None = None
    for match in _LEXEME.finditer(text):
        kind, (start, end) = match.lastgroup, match.span()
        if kind == "space":
            column = len(match[0].expandtabs(_TAB)) if fresh else column
            space = None if fresh else (start, end)
        elif kind == "newline":
            if not fresh:
                form.put("\n", start, end)
                begins = depth == 0 and not form.ends_with_backslash
            fresh, column, space = True, 0, None
        elif kind != "comment":
            if fresh and begins:
                while len(columns) > 1 and column < columns[-1]:
                    columns.pop()
                deeper = column > columns[-1]
                if deeper:
                    columns.append(column)
                defines = _DEFINITION.match(text, start) is not None
                if defines:
                    depth = 0  # a bracket above was never closed
                    if form.length and not deeper and not decorated:
                        form.put("\n", start, start)
                decorated = defines and text[start] == "@"
            if fresh:
                outer = begins or (kind == "close" and depth == 1)
                form.put(" " * (_INDENT * (len(columns) - outer)), start, start)
            elif space is not None:
                form.take(*space)
            if kind == "string" and _LINE_END.search(match[0]):
                form.take_lines(start, end, _INDENT * (len(columns) - 1) if fresh and begins else None)
            else:
                form.take(start, end)
            depth = max(0, depth + (kind == "open") - (kind == "close"))
            fresh, begins, space = False, False, None
    return form.built()


class _Builder:
    """Stretches of a text, and what is put between them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._inserted: list[str | None] = []  # None where the characters are the text's own
        self._spans: list[tuple[int, int]] = []
        self.length = 0

    @property
    def ends_with_backslash(self) -> bool:
        """Whether the last line that was ended is joined to the next by a backslash."""
        before = self._spans[-2][1] if len(self._spans) > 1 else 0
        return before > 0 and self._text[before - 1] == "\\"

    def take(self, start: int, end: int) -> None:
        """Add the characters [start, end) of the text."""
        self.length += end - start
        if self._inserted and self._inserted[-1] is None and self._spans[-1][1] == start:
            self._spans[-1] = (self._spans[-1][0], end)
        elif start < end:
            self._inserted.append(None)
            self._spans.append((start, end))

    def put(self, inserted: str, start: int, end: int) -> None:
        """Add characters that stand for [start, end) of the text, each for all of them."""
        if inserted:
            self.length += len(inserted)
            self._inserted.append(inserted)
            self._spans.append((start, end))

    def take_lines(self, start: int, end: int, margin: int | None) -> None:
        """Add [start, end) with line feeds for line ends; its further lines get this margin where one is given."""
        breaks = [match.span() for match in _LINE_END.finditer(self._text, start, end)]
        firsts, lasts = [start, *(after for _, after in breaks)], [*(before for before, _ in breaks), end]
        lines = list(zip(firsts, lasts, strict=True))
        own = 0
        if margin is not None:
            widths = [_indentation(self._text, *line) for line in lines[1:]]
            own = min((width for width in widths if width is not None), default=0)
        for number, (first, last) in enumerate(lines):
            if number:
                self.put("\n", *breaks[number - 1])
            if number and margin is not None:
                content = first + len(self._text[first:last]) - len(self._text[first:last].lstrip(" \t"))
                if content < last:
                    column = len(self._text[first:content].expandtabs(_TAB))
                    self.put(" " * (margin + (_INDENT if column > own else 0)), content, content)
                first = content
            self.take(first, last)

    def built(self) -> NormalForm:
        """All that was added, as one text."""
        parts = [
            self._text[slice(*span)] if inserted is None else inserted
            for inserted, span in zip(self._inserted, self._spans, strict=True)
        ]
        lengths = np.array([len(part) for part in parts], dtype=np.int64)
        spans = np.array(self._spans, dtype=np.int64).reshape(-1, 2)
        own = np.array([inserted is None for inserted in self._inserted], dtype=np.bool_)
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        within *= np.repeat(own, lengths)
        starts = np.repeat(spans[:, 0], lengths) + within
        ends = np.where(np.repeat(own, lengths), starts + 1, np.repeat(spans[:, 1], lengths))
        return NormalForm("".join(parts), starts, ends)


def _indentation(text: str, start: int, end: int) -> int | None:
    """Columns of white space before a line's content; None for a blank line."""
    line = text[start:end]
    content = line.lstrip(" \t")
    return len(line[: len(line) - len(content)].expandtabs(_TAB)) if content else None
