"""A piece of a document that the client shows as a text of its own: a cell of a notebook, or all of a plain text."""

from __future__ import annotations

from dataclasses import dataclass

from risk_lsp.text.document import Document
from risk_lsp.text.positions import Position

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
