"""Documents as immutable snapshots: their lines, positions and spans in them, edits, and parts for a client."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SURROGATE = re.compile("[\ud800-\udfff]")


def code_points(text: str) -> NDArray[np.unsignedinteger]:
    """The code points of a text: uint8[n] if it is all ASCII, uint32[n] otherwise."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def utf8_bytes(text: str) -> bytes:
    """A text as valid UTF-8; a lone surrogate becomes U+FFFD, which takes as many bytes."""
    return _SURROGATE.sub("\ufffd", text).encode("utf-8")


def join_surrogate_pairs(text: str) -> str:
    """The text with each high surrogate that is followed by a low one replaced by the character the two stand for."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def is_surrogate(character: str) -> bool:
    """Whether a character, or no character, is a lone surrogate."""
    return "\ud800" <= character <= "\udfff"


# Characters. A small text stays in one piece; a larger one is cut up by its first edit.
_PIECE = 8192


class Rope:
    """An immutable text. All offsets are into the whole of it."""

    __slots__ = ("_pieces", "_starts", "_text")

    def __init__(self, *pieces: str) -> None:
        self._pieces = pieces or ("",)
        self._starts = (0, *accumulate(map(len, self._pieces)))
        self._text = self._pieces[0] if len(self._pieces) == 1 else None

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def text(self) -> str:
        """The whole text, put together when it is first asked for."""
        if self._text is None:
            self._text = "".join(self._pieces)
        return self._text

    def slice(self, start: int, end: int) -> str:
        """The characters [start, end)."""
        if self._text is not None:
            return self._text[start:end]
        first, last = self._piece_at(start), self._piece_at(end)
        origin = self._starts[first]
        return "".join(self._pieces[first : last + 1])[start - origin : end - origin]

    def splice(self, start: int, end: int, replacement: str) -> Rope:
        """The text with the characters [start, end) replaced."""
        first, last = self._piece_at(start), self._piece_at(end)
        before = self._pieces[first][: start - self._starts[first]]
        after = self._pieces[last][end - self._starts[last] :]
        text = before + replacement + after
        cut = [text] if text else []
        if len(text) > 2 * _PIECE:
            cut = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
        return Rope(*self._pieces[:first], *cut, *self._pieces[last + 1 :])

    def _piece_at(self, offset: int) -> int:
        """The piece that holds the character at the offset; at the end of the text, the last one."""
        return min(bisect_right(self._starts, offset), len(self._pieces)) - 1


_LF, _CR = 0x0A, 0x0D
_WHITE_SPACE = "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    chr(point) for point in range(0x2000, 0x200B)
)  # what str.strip takes away
_IS_WHITE_SPACE = np.zeros(ord(max(_WHITE_SPACE)) + 2, dtype=np.bool_)
_IS_WHITE_SPACE[[ord(character) for character in _WHITE_SPACE]] = True


class LineIndex:
    """An immutable text with the offsets of its lines: `starts`, int64[count]. An empty text has one empty line."""

    __slots__ = ("_pieces", "_stripped", "starts")

    def __init__(self, text: str) -> None:
        self._pieces = Rope(text)
        self.starts = _read_only(np.concatenate((np.zeros(1, np.int64), _break_ends(text))))
        self._stripped: NDArray[np.int64] | None = None

    @property
    def text(self) -> str:
        """The whole text; put together anew for the first caller after an edit."""
        return self._pieces.text

    @property
    def length(self) -> int:
        """The number of characters in the text."""
        return len(self._pieces)

    @property
    def count(self) -> int:
        """The number of lines; they count from 0. A terminator at the end of the text is followed by an empty line."""
        return len(self.starts)

    @property
    def stripped(self) -> NDArray[np.int64]:
        """int64[count, 2]: start and end of each line without the white space around its content, and for a blank line
        its start twice."""
        if self._stripped is None:
            content = content_places(self.text)
            places = np.searchsorted(content, np.append(self.starts, self.length))
            first, behind = places[:-1], places[1:]
            content = np.append(content, 0)  # so that a blank last line has a place to look at
            ends = np.stack((content[first], content[behind - 1] + 1), axis=1)
            self._stripped = _read_only(np.where((first == behind)[:, None], self.starts[:, None], ends))
        return self._stripped

    def slice(self, start: int, end: int) -> str:
        """The characters [start, end), without putting the whole text together."""
        return self._pieces.slice(start, end)

    def line_of(self, offset: int) -> int:
        """The line that holds the offset; a terminator belongs to the line it ends.

        Raises IndexError for an offset outside 0 to the text's length.
        """
        if not 0 <= offset <= self.length:
            raise IndexError(f"offset {offset} is outside a text of {self.length} characters")
        return int(self.starts.searchsorted(offset, side="right")) - 1

    def start(self, line: int) -> int:
        """The offset of the line's first character."""
        self._require(line)
        return int(self.starts[line])

    def end(self, line: int) -> int:
        """The offset after the line's terminator."""
        self._require(line)
        return int(self.starts[line + 1]) if line + 1 < self.count else self.length

    def content_end(self, line: int) -> int:
        """The offset before the line's terminator."""
        end = self.end(line)
        if line + 1 == self.count:
            return end
        return end - 2 if self.slice(max(end - 2, 0), end) == "\r\n" else end - 1

    def splice(self, start: int, end: int, replacement: str) -> LineIndex:
        """The index of the text with the characters [start, end) replaced.

        Whether a line starts at an offset depends only on the characters on both sides of it. So starts before `start`
        stay, starts after `end` move, and just the replacement and its two neighbours are scanned.
        """
        if not 0 <= start <= end <= self.length:
            raise IndexError(f"span {start}-{end} is outside a text of {self.length} characters")
        pieces = self._pieces.splice(start, end, replacement)
        first, last = max(start, 1), start + len(replacement)
        scanned = _break_ends(pieces.slice(first - 1, last + 1)) + (first - 1)
        kept = self.starts[: max(int(self.starts.searchsorted(start)), 1)]
        moved = self.starts[int(self.starts.searchsorted(end, side="right")) :]
        index = LineIndex.__new__(LineIndex)
        index._pieces, index._stripped = pieces, None
        index.starts = _read_only(np.concatenate((kept, scanned[scanned <= last], moved + (last - end))))
        return index

    def _require(self, line: int) -> None:
        if not 0 <= line < self.count:
            raise IndexError(f"line {line} is outside a text of {self.count} lines")


def content_places(text: str) -> NDArray[np.int64]:
    """The offsets of the characters that are no white space, int64, rising."""
    points = code_points(text)
    if points.dtype != np.uint8:
        points = np.minimum(points, len(_IS_WHITE_SPACE) - 1)  # which is none, as whatever is higher
    return np.flatnonzero(~_IS_WHITE_SPACE[points]).astype(np.int64)


def _read_only(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    offsets.flags.writeable = False
    return offsets


def _break_ends(text: str) -> NDArray[np.int64]:
    """The offsets after each line terminator of a text, in order."""
    points = code_points(text)
    breaks = points == _LF
    returns = points == _CR
    returns[:-1] &= ~breaks[1:]
    return np.flatnonzero(breaks | returns).astype(np.int64) + 1


@dataclass(frozen=True, init=False, eq=False)
class Document:
    """One version of one text; `lines` is its only line index. Documents are equal only if they are one object."""

    uri: str
    version: int
    language_id: str
    lines: LineIndex

    def __init__(self, uri: str, version: int, text: str | LineIndex, language_id: str) -> None:
        lines = LineIndex(text) if isinstance(text, str) else text
        for name, value in (("uri", uri), ("version", version), ("language_id", language_id), ("lines", lines)):
            object.__setattr__(self, name, value)

    @property
    def text(self) -> str:
        """The whole text."""
        return self.lines.text


class PositionEncoding(str, Enum):
    """What `Position.character` counts: bytes, UTF-16 code units or code points. The protocol's own names."""

    UTF8 = "utf-8"
    UTF16 = "utf-16"
    UTF32 = "utf-32"


class Position(NamedTuple):
    """A place between two characters. Both count from 0; what `character` counts is up to the encoding in use."""

    line: int
    character: int


# Units per code point in the encodings in which these differ: int64[n].
_WIDTHS: dict[PositionEncoding, Callable[[NDArray[np.unsignedinteger]], NDArray[np.int64]]] = {
    PositionEncoding.UTF8: lambda points: 1 + (points > 0x7F).astype(np.int64) + (points > 0x7FF) + (points > 0xFFFF),
    PositionEncoding.UTF16: lambda points: 1 + (points > 0xFFFF).astype(np.int64),
}


def to_position(document: Document, offset: int, encoding: PositionEncoding) -> Position:
    """The position of an offset, which may be the end of the text.

    An offset between "\\r" and "\\n" has no position of its own and gets that of the line's end, before the terminator.
    Raises IndexError for an offset outside the text.
    """
    lines = document.lines
    line = lines.line_of(offset)
    before = lines.slice(lines.start(line), min(offset, lines.content_end(line)))
    if encoding is PositionEncoding.UTF32 or before.isascii():
        return Position(line, len(before))
    return Position(line, int(_WIDTHS[encoding](code_points(before)).sum()))


def to_offset(document: Document, position: Position, encoding: PositionEncoding) -> int:
    """The offset of a position; every position has one, because positions outside the text are clamped.

    A line past the last one means the end of the text, a character past the end of its line means that end, before the
    terminator, and negative numbers mean 0. A position inside a character (in the middle of a surrogate pair or of a
    UTF-8 sequence) means the start of that character.
    """
    lines = document.lines
    if position.line < 0:
        return 0
    if position.line >= lines.count:
        return lines.length
    start, end = lines.start(position.line), lines.content_end(position.line)
    # A character takes at least one unit, so no more than this many can lie before the position.
    end = min(end, start + max(position.character, 0))
    text = lines.slice(start, end)
    if encoding is PositionEncoding.UTF32 or text.isascii():
        return end
    ends = _WIDTHS[encoding](code_points(text)).cumsum()
    return start + int(ends.searchsorted(position.character, side="right"))


@dataclass(frozen=True)
class TextChange:
    """The text that replaces what is between two positions, or the whole document if both are None."""

    start: Position | None
    end: Position | None
    text: str

    def __post_init__(self) -> None:
        if (self.start is None) != (self.end is None):
            raise ValueError("a change has both a start and an end, or neither")


def apply_changes(
    document: Document, changes: Iterable[TextChange], version: int, encoding: PositionEncoding
) -> Document:
    """The document after the changes of one notification.

    Each change counts positions in the text that the changes before it made. Positions outside that text are clamped as
    `to_offset` says, and a range whose end is before its start is taken the other way round.
    """
    result = Document(document.uri, version, document.lines, document.language_id)
    for change in changes:
        if change.start is None or change.end is None:
            lines = LineIndex(join_surrogate_pairs(change.text))
        else:
            start, end = sorted((to_offset(result, change.start, encoding), to_offset(result, change.end, encoding)))
            lines = _splice_joining_pairs(result.lines, start, end, change.text)
        result = Document(document.uri, version, lines, document.language_id)
    return result


def _splice_joining_pairs(lines: LineIndex, start: int, end: int, replacement: str) -> LineIndex:
    """`lines.splice`, where the halves of a surrogate pair that an edit brings together make one character.

    To a client whose text is UTF-16 they are one. Left apart they would fuse on the way through JSON, and every later
    offset would be off by one.
    """
    before, after = lines.slice(max(start - 1, 0), start), lines.slice(end, min(end + 1, lines.length))
    if is_surrogate(before):
        start, replacement = start - 1, before + replacement
    if is_surrogate(after):
        end, replacement = end + 1, replacement + after
    return lines.splice(start, end, join_surrogate_pairs(replacement))


_PAST_ANY_LINE = 2**31 - 1  # a character that is clamped to the end of its line


@dataclass(frozen=True)
class Part:
    """Whole lines of a snapshot, under the URI and the version that the client knows them by.

    Its lines are lines of the document, character for character, so that a position differs by the first line alone,
    whatever the encoding.
    """

    uri: str
    version: int
    document: Document
    first_line: int
    line_count: int

    @classmethod
    def whole(cls, document: Document) -> Part:
        """All of a document."""
        return cls(document.uri, document.version, document, 0, document.lines.count)

    @property
    def start(self) -> int:
        """The offset in the document at which the part starts."""
        return self.document.lines.start(self.first_line)

    @property
    def lines(self) -> range:
        """The lines of the document that the part consists of."""
        return range(self.first_line, self.first_line + self.line_count)

    def to_document(self, position: Position) -> Position:
        """A position in the part as one in the document; one outside of the part is clamped into it."""
        if position.line < 0:
            return Position(self.first_line, 0)
        if position.line >= self.line_count:
            return Position(self.lines[-1], _PAST_ANY_LINE)
        return Position(self.first_line + position.line, position.character)

    def from_document(self, position: Position) -> Position:
        """A position in the document, in one of the part's lines, as one in the part."""
        return Position(position.line - self.first_line, position.character)


class Span(NamedTuple):
    """The characters [start, end) of a text."""

    start: int
    end: int


def stripped_line_spans(source: Document | str) -> list[Span]:
    """One span per line, without the white space around its content; a blank line has the empty span at its start."""
    lines = LineIndex(source) if isinstance(source, str) else source.lines
    return list(map(Span._make, lines.stripped.tolist()))


def content_span(document: Document, line: int) -> Span:
    """The same of one line. Raises IndexError where there is none."""
    return Span(*document.lines.stripped[line].tolist())
