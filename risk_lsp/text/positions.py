"""Offsets into a document and the positions of the language server protocol, in its three encodings."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.text.code_points import code_points, utf8_widths, utf16_widths

if TYPE_CHECKING:
    from risk_lsp.text.document import Document


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
