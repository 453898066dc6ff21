"""Offsets in code points, and the positions of the language server protocol in its three encodings."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from risk_lsp.text.document import Document


_SURROGATE = re.compile("[\ud800-\udfff]")


def code_points(text: str) -> NDArray[np.unsignedinteger]:
    """The code points of a text: uint8[n] if it is all ASCII, uint32[n] otherwise."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def utf8_widths(points: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    """Bytes per code point in UTF-8: int64[n], 1 to 4."""
    return 1 + (points > 0x7F).astype(np.int64) + (points > 0x7FF) + (points > 0xFFFF)


def utf16_widths(points: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    """Code units per code point in UTF-16: int64[n], 1 or 2."""
    return 1 + (points > 0xFFFF).astype(np.int64)


def utf8_bytes(text: str) -> bytes:
    """A text as valid UTF-8; a lone surrogate becomes U+FFFD, which is as wide as `utf8_widths` says."""
    return _SURROGATE.sub("\ufffd", text).encode("utf-8")


def join_surrogate_pairs(text: str) -> str:
    """The text with each high surrogate that is followed by a low one replaced by the character the two stand for."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def is_surrogate(character: str) -> bool:
    """Whether a character, or no character, is a lone surrogate."""
    return "\ud800" <= character <= "\udfff"


class PositionEncoding(str, Enum):
    """What `Position.character` counts: bytes, UTF-16 code units or code points. The protocol's own names."""

    UTF8 = "utf-8"
    UTF16 = "utf-16"
    UTF32 = "utf-32"


class Position(NamedTuple):
    """A place between two characters. Both count from 0; what `character` counts is up to the encoding in use."""

    line: int
    character: int


_Widths = Callable[[NDArray[np.unsignedinteger]], NDArray[np.int64]]
_WIDTHS: dict[PositionEncoding, _Widths] = {PositionEncoding.UTF8: utf8_widths, PositionEncoding.UTF16: utf16_widths}


def to_position(document: Document, offset: int, encoding: PositionEncoding) -> Position:
    """The position of an offset, which may be the end of the text.

    An offset between "\\r" and "\\n" has no position of its own and gets that of the line's end, before the terminator.
    Raises IndexError for an offset outside the text.
    """
    lines = document.lines
    line = lines.line_of(offset)
    before = lines.slice(lines.start(line), min(offset, lines.content_end(line)))
    return Position(line, _units(before, encoding))


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
    return start + _characters(lines.slice(start, end), position.character, encoding)


def _units(text: str, encoding: PositionEncoding) -> int:
    """How many units of the encoding the text takes."""
    if encoding is PositionEncoding.UTF32 or text.isascii():
        return len(text)
    return int(_WIDTHS[encoding](code_points(text)).sum())


def _characters(text: str, units: int, encoding: PositionEncoding) -> int:
    """How many whole characters of the text fit into so many units of the encoding."""
    if encoding is PositionEncoding.UTF32 or text.isascii():
        return min(len(text), units) if units > 0 else 0
    ends = _WIDTHS[encoding](code_points(text)).cumsum()
    return int(ends.searchsorted(units, side="right"))
