"""Where the lines of a text begin and end, as the language server protocol has it; an edit copies little."""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate

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


class Pieces:
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

    def spliced(self, start: int, end: int, replacement: str) -> Pieces:
        """The text with the characters [start, end) replaced."""
        first, last = self._piece_at(start), self._piece_at(end)
        before = self._pieces[first][: start - self._starts[first]]
        after = self._pieces[last][end - self._starts[last] :]
        text = before + replacement + after
        cut = [text] if text else []
        if len(text) > 2 * _PIECE:
            cut = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
        return Pieces(*self._pieces[:first], *cut, *self._pieces[last + 1 :])

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
        self._pieces = Pieces(text)
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
            self._stripped = _read_only(_stripped(self.text, self.starts))
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

    def spliced(self, start: int, end: int, replacement: str) -> LineIndex:
        """The index of the text with the characters [start, end) replaced.

        Whether a line starts at an offset depends only on the characters on both sides of it. So starts before `start`
        stay, starts after `end` move, and just the replacement and its two neighbours are scanned.
        """
        if not 0 <= start <= end <= self.length:
            raise IndexError(f"span {start}-{end} is outside a text of {self.length} characters")
        pieces = self._pieces.spliced(start, end, replacement)
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


def _stripped(text: str, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    content = content_places(text)
    places = np.searchsorted(content, np.append(starts, len(text)))
    first, behind = places[:-1], places[1:]
    is_blank = first == behind
    content = np.append(content, 0)  # so that a blank last line has a place to look at
    return np.stack(
        (np.where(is_blank, starts, content[first]), np.where(is_blank, starts, content[behind - 1] + 1)), axis=1
    )


def _break_ends(text: str) -> NDArray[np.int64]:
    """The offsets after each line terminator of a text, in order."""
    points = code_points(text)
    breaks = points == _LF
    returns = points == _CR
    returns[:-1] &= ~breaks[1:]
    return np.flatnonzero(breaks | returns).astype(np.int64) + 1
