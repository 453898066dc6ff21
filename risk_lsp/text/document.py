"""Documents as immutable snapshots: positions and spans in them, edits, and parts that a client shows by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.text.lines import LineIndex, code_points, is_surrogate, join_surrogate_pairs


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
            lines = _spliced(result.lines, start, end, change.text)
        result = Document(document.uri, version, lines, document.language_id)
    return result


def _spliced(lines: LineIndex, start: int, end: int, replacement: str) -> LineIndex:
    """`lines.spliced`, where the halves of a surrogate pair that an edit brings together make one character.

    To a client whose text is UTF-16 they are one. Left apart they would fuse on the way through JSON, and every later
    offset would be off by one.
    """
    before, after = lines.slice(max(start - 1, 0), start), lines.slice(end, min(end + 1, lines.length))
    if is_surrogate(before):
        start, replacement = start - 1, before + replacement
    if is_surrogate(after):
        end, replacement = end + 1, replacement + after
    return lines.spliced(start, end, join_surrogate_pairs(replacement))


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


def stripped_line_span(document: Document, line: int) -> Span:
    """The same of one line. Raises IndexError where there is none."""
    return Span(*document.lines.stripped[line].tolist())
