"""Which lines a person does not want to hear about, and why."""

from __future__ import annotations

from enum import Enum

from risk_lsp.server.ignore_store import IgnoreStore
from risk_lsp.text.comments import lines_ignored_in_source
from risk_lsp.text.document import Document


class Ignored(str, Enum):
    """What has a line ignored."""

    SOURCE = "source"
    STORED = "stored"


def ignored_lines(document: Document, store: IgnoreStore) -> dict[int, Ignored]:
    """The ignored lines of a document; a comment in the source counts before the store."""
    stored = dict.fromkeys(store.lines(document), Ignored.STORED)
    return stored | dict.fromkeys(lines_ignored_in_source(document), Ignored.SOURCE)
