"""Which documents are scored."""

from __future__ import annotations

from risk_lsp.settings import Settings
from risk_lsp.text.document import Document

# The text the client sent is all that counts, so documents that were never saved are as good as files. Others (a diff's
# old side, terminal output, ...) are not something a person edits.
_SCHEMES = frozenset({"file", "untitled", "vscode-notebook-cell", "vscode-remote", "vscode-vfs"})


def reason_not_scored(document: Document, settings: Settings) -> str | None:
    """Why the document is not scored, for people; None if it is."""
    scheme = document.uri.partition(":")[0].lower()
    if scheme not in _SCHEMES:
        return f"documents of the kind '{scheme}:' are not scored, only files and unsaved texts"
    length = document.lines.length  # every keystroke comes here: the text is not put together for it
    if length > settings.max_characters:
        return (
            f"this document has {length:,} characters and documents over {settings.max_characters:,} are not scored"
            " (setting maxCharacters)"
        )
    return None
