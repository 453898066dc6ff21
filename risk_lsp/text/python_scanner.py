"""The lines, strings and brackets of a Python text, whether or not it parses."""

from __future__ import annotations

import re

TAB = 8  # columns, as Python counts them
LINE_END = re.compile(r"\r\n|\r|\n")
# A physical line. It ends too early, without a line end, in front of what LEXEME is for: a string of several lines or
# without an end, and a backslash.
LINE = re.compile(
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
DEFINITION = re.compile(r"(?:async[ \t]+)?(?:def|class)\b|@")
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
    return len(space[space.rfind("\f") + 1 :].expandtabs(TAB))


def depth_after(code: str, depth: int) -> int:
    """How many brackets are open after `code` if `depth` are open before it; strings in `code` are whole."""
    for found in _BRACKET_OR_STRING.findall(code):
        if found in "([{":
            depth += 1
        elif found in ")]}" and depth:  # one that was never opened closes nothing
            depth -= 1
    return depth


def has_fields(code: str) -> bool:
    """Whether code may hold an f-string with a field: LINE and LEXEME may then be wrong about where it ends."""
    return "{" in code and _F_STRING.search(code) is not None


def is_f_string(text: str, quote: int) -> bool:
    """Whether what stands in front of an opening quote makes its string one with fields: f"", rf"", t"" and so on."""
    return _F_PREFIX.fullmatch(text, max(0, quote - 3), quote) is not None


def f_string_end(text: str, quote: int) -> int | None:
    """The end of an f-string, given its opening quote; None if it has none.

    Since Python 3.12 a field holds any expression: with the same quotes, comments and line ends (PEP 701).
    """
    return _FStrings(text[: quote + _LONGEST]).end(quote)


class _FStrings:
    """Finds the ends of f-strings in a text. All methods give None where there is no end."""

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
                if is_f_string(self._text, place):
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
