"""The open documents, as our own immutable snapshots."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from risk_lsp.text.document import Document, TextChange, apply_changes
from risk_lsp.text.edits import Edit, edit_of
from risk_lsp.text.positions import PositionEncoding

logger = logging.getLogger(__name__)


class OpenDocuments:
    """The newest snapshot of every open document, by URI. Snapshots are compared by identity."""

    def __init__(
        self, encoding: PositionEncoding, on_edit: Callable[[Document, Edit], None] = lambda document, edit: None
    ) -> None:
        self.encoding = encoding
        self._on_edit = on_edit
        self._documents: dict[str, Document] = {}

    def open(self, document: Document) -> None:
        """Take in a document; one that is open already is replaced."""
        self._documents[document.uri] = document

    def change(self, uri: str, version: int, changes: Sequence[TextChange]) -> bool:
        """Apply one notification's edits, each after `on_edit` has seen it; False if the document is not open."""
        document = self._documents.get(uri)
        if document is None:
            logger.warning("an edit of a document that is not open was ignored")
            return False
        if version <= document.version:
            logger.warning("document version went from %d to %d", document.version, version)
        if not changes:  # a version is news, too
            self._documents[uri] = apply_changes(document, (), version, self.encoding)
        for change in changes:
            document = self._documents[uri]
            self._on_edit(document, edit_of(document, change, self.encoding))
            self._documents[uri] = apply_changes(document, [change], version, self.encoding)
        return True

    def close(self, uri: str) -> None:
        """Forget a document."""
        self._documents.pop(uri, None)

    def get(self, uri: str) -> Document | None:
        """The newest snapshot, or None if the document is not open."""
        return self._documents.get(uri)

    def is_newest(self, document: Document) -> bool:
        """Whether the snapshot is still what the client shows."""
        return self._documents.get(document.uri) is document

    def all(self) -> list[Document]:
        """The newest snapshots, in the order the documents were opened."""
        return list(self._documents.values())
