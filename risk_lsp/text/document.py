"""Documents as immutable snapshots, and the pieces of them that a client shows as texts of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from risk_lsp.text.lines import LineIndex
from risk_lsp.text.positions import Position, PositionEncoding, is_surrogate, join_surrogate_pairs, to_offset


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
        result = Document(document.uri, version, _changed_lines(result, change, encoding), document.language_id)
    return result


def _changed_lines(document: Document, change: TextChange, encoding: PositionEncoding) -> LineIndex:
    if change.start is None or change.end is None:
        return LineIndex(join_surrogate_pairs(change.text))
    start = to_offset(document, change.start, encoding)
    end = to_offset(document, change.end, encoding)
    return _spliced(document.lines, min(start, end), max(start, end), change.text)


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
