"""Documents as immutable snapshots; an edit makes a new one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import InitVar, dataclass, field

from risk_lsp.text.code_points import is_surrogate, join_surrogate_pairs
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.positions import Position, PositionEncoding, to_offset


@dataclass(frozen=True)
class Document:
    """One version of one text. `lines` is its only line index; `known_lines` hands over one that exists already."""

    uri: str
    version: int
    text: str
    language_id: str
    known_lines: InitVar[LineIndex | None] = None
    lines: LineIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self, known_lines: LineIndex | None) -> None:
        object.__setattr__(self, "lines", LineIndex(self.text) if known_lines is None else known_lines)


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
    result = Document(document.uri, version, document.text, document.language_id, document.lines)
    for change in changes:
        lines = _changed_lines(result, change, encoding)
        result = Document(document.uri, version, lines.text, document.language_id, lines)
    return result


def _changed_lines(document: Document, change: TextChange, encoding: PositionEncoding) -> LineIndex:
    if change.start is None or change.end is None:
        return LineIndex(join_surrogate_pairs(change.text))
    start = to_offset(document, change.start, encoding)
    end = to_offset(document, change.end, encoding)
    return _spliced_whole(document.lines, min(start, end), max(start, end), change.text)


def _spliced_whole(lines: LineIndex, start: int, end: int, replacement: str) -> LineIndex:
    """`lines.spliced`, where an edit that brings the two halves of a surrogate pair together makes one character.

    A client whose text is UTF-16 sees one character then. Left apart here, the halves would also fuse on the way through
    JSON, and all later offsets would be off by one.
    """
    if start > 0 and is_surrogate(lines.text[start - 1]):
        start, replacement = start - 1, lines.text[start - 1] + replacement
    if end < len(lines.text) and is_surrogate(lines.text[end]):
        end, replacement = end + 1, replacement + lines.text[end]
    return lines.spliced(start, end, join_surrogate_pairs(replacement))
