"""Where in each document a person is, as far as a server can tell: what stands there is scored first."""

from __future__ import annotations

from risk_lsp.text.document import Document
from risk_lsp.text.spans import Span


class Attention:
    """The offset of the last edit, hover or code action in each document, by its URI."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def is_at(self, uri: str, offset: int) -> None:
        """Something was done or asked there."""
        self._places[uri] = offset

    def is_within(self, uri: str, span: Span) -> None:
        """Something was asked about all of the span, which holds what is on the screen."""
        if not span.start <= self._places.get(uri, 0) <= span.end:
            self._places[uri] = span.start

    def place(self, document: Document) -> int:
        """An offset in the document; its start where nothing is known."""
        return min(self._places.get(document.uri, 0), document.lines.length)

    def forget(self, uri: str) -> None:
        """Drop what is known of a document."""
        self._places.pop(uri, None)
