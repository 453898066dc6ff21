"""The text that a model reads of a document: the document itself, or its normal form, without comments, for example."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from risk_lsp.text.document import Span, content_places

_TAB = 8  # columns, as Python counts them
_LINE_END = re.compile(r"\r\n|\r|\n")
# A physical line. It ends too early, without a line end, in front of what LEXEME is for: a string of several lines or
# without an end, and a backslash.
_LINE = re.compile(
    r"""(?P<space>[ \t\f]*)(?P<code>[^'"\#\\\r\n]*(?:(?!'''|\""")(?:'[^'\\\r\n]*(?:\\[^\r\n][^'\\\r\n]*)*'"""
    r"""|"[^"\\\r\n]*(?:\\[^\r\n][^"\\\r\n]*)*")[^'"\#\\\r\n]*)*)(?:\#[^\r\n]*)?(?P<newline>\r\n|\r|\n)?"""
)
# A string without an end reaches to the end of its line, or of the text if it has three quotes.
LEXEME = re.compile(
    r"""(?P<prefix>[rRbBuUfFtT]{0,2})(?P<string>'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*(?:'''|\\?\Z)"""
    r"""|\"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*(?:\"""|\\?\Z)|'[^'\\\r\n]*(?:\\(?:\r\n|.)[^'\\\r\n]*)*'?"""
    r"""|"[^"\\\r\n]*(?:\\(?:\r\n|.)[^"\\\r\n]*)*"?)"""
    r"""|(?P<comment>\#[^\r\n]*)|(?P<newline>\r\n|\r|\n)|(?P<space>[ \t\f]+)|(?P<code>[^'"\#\\\r\n \t\f]+|\\)""",
    re.DOTALL,
)
_DEFINITION = re.compile(r"(?:async[ \t]+)?(?:def|class)\b|@")
# What begins a statement and is in no expression: a bracket that is open in front of it has no end.
STATEMENT = re.compile(
    r"(?:async[ \t]+def|assert|break|class|continue|def|del|elif|except|finally|global|import|nonlocal|pass|raise"
    r"|return|try|while)\b"
)
_BRACKET_OR_STRING = re.compile(r"""[()\[\]{}]|'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*\"""")
_F_STRING = re.compile(r"""\b(?:[ftFT][rR]?|[rR][ftFT])['"]""")
_F_PREFIX = re.compile(r"(?:.*\W)?(?:[ftFT][rR]?|[rR][ftFT])", re.DOTALL)
_QUOTES = re.compile(r"'''|\"\"\"|'|\"")
# What stands between the fields of an f-string, by its quotes.
_BETWEEN_FIELDS = {
    "'": re.compile(r"(?:[^'\\{}\r\n]+|\{\{|\}\}|\\N\{[^{}'\r\n]*\}|\\(?:\r\n|[^{}])?)*", re.DOTALL),
    '"': re.compile(r'(?:[^"\\{}\r\n]+|\{\{|\}\}|\\N\{[^{}"\r\n]*\}|\\(?:\r\n|[^{}])?)*', re.DOTALL),
    "'''": re.compile(r"(?:[^'\\{}]+|'(?!'')|\{\{|\}\}|\\N\{[^{}']*\}|\\[^{}]?)*", re.DOTALL),
    '"""': re.compile(r'(?:[^"\\{}]+|"(?!"")|\{\{|\}\}|\\N\{[^{}"]*\}|\\[^{}]?)*', re.DOTALL),
}
_IN_FIELD = re.compile(r"[^'\"#()\[\]{}:\r\n]+|#[^\r\n]*|:")
_WHOLE_STRING = re.compile(
    r"""'''(?:[^\\]|\\.)*?'''|\"""(?:[^\\]|\\.)*?\"""|'(?:[^'\\\r\n]|\\.)*'|"(?:[^"\\\r\n]|\\.)*\"""", re.DOTALL
)
_SPACE = re.compile(r"\s*")
_DEEPEST = 5  # levels of f-strings in fields of f-strings
_LONGEST = 4_000  # characters that are looked at for an end: a hostile text would have all of it looked at each time


def width(space: str) -> int:
    """Columns of white space; a form feed begins the line anew, as in Python."""
    return len(space[space.rfind("\f") + 1 :].expandtabs(_TAB))


def depth_after(code: str, depth: int) -> int:
    """How many brackets are open after `code` if `depth` are open before it; strings in `code` are whole."""
    for found in _BRACKET_OR_STRING.findall(code):
        if found in "([{":
            depth += 1
        elif found in ")]}" and depth:  # one that was never opened closes nothing
            depth -= 1
    return depth


def _is_f_string(text: str, quote: int) -> bool:
    """Whether what stands in front of an opening quote makes its string one with fields: f"", rf"", t"" and so on."""
    return _F_PREFIX.fullmatch(text, max(0, quote - 3), quote) is not None


class _FStrings:
    """Finds the ends of f-strings in a text. All methods give None where there is no end.

    Since Python 3.12 a field holds any expression: with the same quotes, comments and line ends (PEP 701).
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def end(self, quote: int, level: int = 0) -> int | None:
        """The end of the f-string with that opening quote, `level` others around it."""
        opening = _QUOTES.match(self._text, quote)
        if opening is None or level > _DEEPEST:
            return None
        quotes, place = opening[0], opening.end()
        while True:
            place = self._skip(_BETWEEN_FIELDS[quotes], place)
            if self._text.startswith(quotes, place):
                return place + len(quotes)
            end = self._field_end(place + 1, quotes, level) if self._text.startswith("{", place) else None
            if end is None:
                return None
            place = end

    def _field_end(self, place: int, quotes: str, level: int) -> int | None:
        """The end of a field whose expression begins at `place`."""
        depth, end = 0, None
        while place < len(self._text) and depth >= 0:
            character = self._text[place]
            if character == "}" and depth == 0:
                return place + 1
            if character == ":" and depth == 0:
                return self._format_end(place + 1, quotes, level)
            if character in "'\"":
                if _is_f_string(self._text, place):
                    end = self.end(place, level + 1)
                else:
                    found = _WHOLE_STRING.match(self._text, place)
                    end = None if found is None else found.end()
            elif character in "([{)]}":
                depth += 1 if character in "([{" else -1
                end = place + 1
            elif character in "\r\n":
                following = self._skip(_SPACE, place)
                end = None if STATEMENT.match(self._text, following) else following
            else:
                end = self._skip(_IN_FIELD, place)
            if end is None:
                return None
            place = end
        return None

    def _format_end(self, place: int, quotes: str, level: int) -> int | None:
        """The end of a field whose format begins at `place`."""
        while place < len(self._text) and not self._text.startswith(quotes, place):
            character = self._text[place]
            if character == "}":
                return place + 1
            end = self._field_end(place + 1, quotes, level) if character == "{" else place + 1
            if end is None or (len(quotes) == 1 and character in "\r\n"):
                return None
            place = end
        return None

    def _skip(self, pattern: re.Pattern[str], place: int) -> int:
        found = pattern.match(self._text, place)
        return place if found is None else found.end()


_INDENT = 4  # spaces a level
_ENDS = re.compile(r"[ \t\f]*(?:[#;\r\n]|\Z)")


class NormalForm(NamedTuple):
    """`text` is what is read. Its character i stands for the characters [starts[i], ends[i]) of the original.

    `starts` and `ends` are int64[len(text)] and never fall. A character that was put in stands for none.
    """

    text: str
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


def normal_form(text: str, language_id: str = "python") -> NormalForm:
    """The normal form of `text`; of a language other than Python, the text with line feeds as its only line ends.

    Comments, blank lines, a byte order mark and white space at line ends are gone. A level of indentation is four
    spaces, and a line that goes on inside of brackets is one level deeper than its statement. A blank line stands
    before a function or class, and a line feed at the end. Lines of a docstring stand below its start, or one level
    deeper. Other strings, and the rest of each line, are as they were. The normal form of a normal form is itself.
    """
    form = _FormBuilder(text)
    if language_id != "python":
        form.take_lines(0, len(text), None)
        return form.join()
    _PythonReader(text, form).write()
    if form.pieces and not form.pieces[-1].endswith("\n"):
        form.put("\n", len(text), len(text))
    return form.join()


class _PythonReader:
    """Goes through a Python text, line after line, and knows how deep in blocks and brackets each of them is."""

    def __init__(self, text: str, form: _FormBuilder) -> None:
        self._text = text
        self._form = form
        self._columns = [0]  # of the blocks that are open
        self._depth = 0  # open brackets
        self._begins = True  # whether the next line with code begins a statement
        self._decorated = False  # whether a decorator came before

    def write(self) -> None:
        """Put the whole text into the form."""
        text, place = self._text, int(self._text.startswith("\ufeff"))
        while place < len(text):
            line = _LINE.match(text, place)
            assert line is not None  # which nothing has to be there for
            code, end = line["code"], line.end()
            is_whole = line["newline"] is not None or end == len(text)
            # _LINE and LEXEME may be wrong about where an f-string with a field ends.
            has_fields = "{" in code and _F_STRING.search(code) is not None
            if not is_whole or has_fields:
                place = self._write_lexemes(place)
                continue
            if code:
                start = line.end("space")
                self._begin_line(line["space"], start)
                self._form.take(start, start + len(code.rstrip(" \t\f")))
                self._depth = depth_after(code, self._depth)
                self._end_line(*line.span("newline"))
            place = end

    def _write_lexemes(self, place: int) -> int:
        """Write from the start of a line up to a line end that is in no string; returns where the next line starts."""
        fresh, indentation, space = True, "", (place, place)
        while lexeme := LEXEME.match(self._text, place):
            kind, start, place = lexeme.lastgroup, place, lexeme.end()
            if kind == "newline":
                if not fresh:
                    self._end_line(start, place, joined=self._form.pieces[-1].endswith("\\"))
                return place
            if kind == "comment":
                continue
            if kind == "space":
                indentation, space = lexeme[0] if fresh else "", (start, place)
                continue
            alone = fresh and self._begins
            if fresh:
                self._begin_line(indentation, start)
            else:
                self._form.take(*space)
            if kind == "string":
                place = self._write_string(start, lexeme.start("string"), place, alone)
            else:
                self._form.take(start, place)
                self._depth = depth_after(lexeme[0], self._depth)
            fresh, space = False, (place, place)
        return place

    def _begin_line(self, indentation: str, start: int) -> None:
        """Put what stands before the first code of a line, which begins at `start`."""
        text, columns = self._text, self._columns
        if not self._begins and STATEMENT.match(text, start):
            self._depth, self._begins = 0, True
        if self._begins:
            column = width(indentation)
            while len(columns) > 1 and column < columns[-1]:
                columns.pop()
            deeper = column > columns[-1]
            if deeper:
                columns.append(column)
            defines = _DEFINITION.match(text, start) is not None
            if defines and self._form.pieces and not deeper and not self._decorated:
                self._form.put("\n", start, start)
            self._decorated = defines and text[start] == "@"
        outer = self._begins or (self._depth == 1 and text[start] in ")]}")
        self._form.put(" " * (_INDENT * (len(columns) - outer)), start, start)
        self._begins = False

    def _write_string(self, start: int, quote: int, end: int, begins: bool) -> int:
        """Write a string, of which a first guess says that it ends at `end`; returns where it does end."""
        text = self._text
        if _is_f_string(text, quote):
            end = _FStrings(text[: quote + _LONGEST]).end(quote) or end
        if _LINE_END.search(text, start, end) is None:
            self._form.take(start, end)
        else:
            docstring = begins and _ENDS.match(text, end) is not None
            self._form.take_lines(start, end, _INDENT * (len(self._columns) - 1) if docstring else None)
        return end

    def _end_line(self, start: int, end: int, *, joined: bool = False) -> None:
        """End a line that holds code, at a line end of the text; if `joined` by a backslash, its statement goes on."""
        self._form.put("\n" if end > start else "", start, end)
        self._begins = self._depth == 0 and not joined


class _FormBuilder:
    """Stretches of a text, and what is put between them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.pieces: list[str] = []
        self._spans: list[int] = []  # of the text: the start and end of each piece
        self._owned: list[bool] = []  # whether its characters are the text's own

    def take(self, start: int, end: int) -> None:
        """Add the characters [start, end) of the text."""
        if start < end:
            self.pieces.append(self._text[start:end])
            self._spans += (start, end)
            self._owned.append(True)

    def put(self, inserted: str, start: int, end: int) -> None:
        """Add characters that stand for [start, end) of the text, each for all of them."""
        if inserted:
            self.pieces.append(inserted)
            self._spans += (start, end)
            self._owned.append(False)

    def take_lines(self, start: int, end: int, margin: int | None) -> None:
        """Add [start, end) with line feeds for line ends; its further lines get this margin where one is given."""
        breaks = [match.span() for match in _LINE_END.finditer(self._text, start, end)]
        starts, ends = [start, *(after for _, after in breaks)], [*(before for before, _ in breaks), end]
        lines = list(zip(starts, ends, strict=True))
        self.take(*lines[0])
        # Columns of white space before each line's content, and where that begins; None for a blank line.
        margins: dict[int, tuple[int, int | None]] = {}
        for first, last in lines[1:] if margin is not None else ():
            line = self._text[first:last]
            space = line[: len(line) - len(line.lstrip(" \t"))]
            margins[first] = width(space), first + len(space) if len(space) < len(line) else None
        own = min((columns for columns, content in margins.values() if content is not None), default=0)
        for (first, last), line_end in zip(lines[1:], breaks, strict=True):
            self.put("\n", *line_end)
            if margin is not None:
                columns, content = margins[first]
                if content is not None:
                    self.put(" " * (margin + (_INDENT if columns > own else 0)), content, content)
                first = last if content is None else content
            self.take(first, last)

    def join(self) -> NormalForm:
        """All that was added, as one text."""
        lengths = np.fromiter(map(len, self.pieces), np.int64, len(self.pieces))
        spans = np.array(self._spans, dtype=np.int64).reshape(-1, 2)
        owned = np.repeat(np.array(self._owned, dtype=np.bool_), lengths)
        within = np.arange(len(owned)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        starts = np.repeat(spans[:, 0], lengths) + within * owned
        ends = np.where(owned, starts + 1, np.repeat(spans[:, 1], lengths))
        return NormalForm("".join(self.pieces), starts, ends)


# How a document is read: as it is, or in the normal form. A probe is fitted to one of them, so another rule of the
# normal form needs another number.
Reading = Literal["verbatim", "normal-1"]
READINGS: tuple[Reading, ...] = get_args(Reading)


class ModelText:
    """What a model reads of a document, and the translation of offsets between the two.

    What the normal form leaves out, such as a comment, is not in `text`: no token stands for it.
    """

    def __init__(self, document: str, reading: Reading, language_id: str = "python") -> None:
        self.document = document
        self.language_id = language_id
        self._form = None if reading == "verbatim" else normal_form(document, language_id)
        self.text = document if self._form is None else self._form.text

    def spans_in_document(
        self, starts: NDArray[np.integer], ends: NDArray[np.integer]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The document's characters that stand in the spans [starts, ends) of `text`, int32 in the order given.

        In the document a span reaches from its first character that is no white space to its last. A span of white
        space alone is empty, in front of what follows it: so a comment behind a line is no part of any.
        """
        if self._form is None:
            return starts.astype(np.int32), ends.astype(np.int32)
        places = content_places(self.text)
        first, behind = np.searchsorted(places, starts), np.searchsorted(places, ends)
        in_document = np.append(self._form.starts[places], len(self.document)).astype(np.int32)
        found_starts = in_document[first]
        found_ends = found_starts.copy()
        holds = first < behind
        found_ends[holds] = self._form.ends[places[behind[holds] - 1]]
        return found_starts, found_ends

    def span_in_text(self, span: Span) -> Span:
        """Where the characters of a span of the document stand in `text`; an empty span at their place if none does."""
        if self._form is None:
            return span
        start = int(np.searchsorted(self._form.ends, span.start, side="right"))
        return Span(start, max(start, int(np.searchsorted(self._form.starts, span.end, side="left"))))

    def stretches_in_document(self, spans: Iterable[Span]) -> tuple[Span, ...]:
        """Spans of `text` as spans of the document, grown by the characters next to them that `text` leaves out."""
        form = self._form
        if form is None:
            return tuple(spans)
        before, behind = np.append(0, form.ends), np.append(form.starts, len(self.document))
        return tuple(Span(int(before[start]), int(behind[end])) for start, end in spans)
