"""The open documents as immutable snapshots, what a client tells of them, and where in them a person is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from lsprotocol import types

from risk_lsp.server.wire.convert import changes_of, document_of, normal_uri, notebook_change_of, notebook_of
from risk_lsp.settings import Settings
from risk_lsp.text.document import Document, Part, PositionEncoding, Span, TextChange, apply_changes
from risk_lsp.text.notebook import CellEdit, Notebook, NotebookChange
from risk_lsp.text.source_files import NOT_FOR_PROSE, PROSE_LANGUAGES
from risk_lsp.text.tracking import Splice, edit_of

if TYPE_CHECKING:
    from risk_lsp.server.documents.publisher import Publisher
    from risk_lsp.server.repair.queue import Repairs
    from risk_lsp.server.state import State

logger = logging.getLogger(__name__)


class OpenDocuments:
    """The newest snapshot of every open document, by URI. Snapshots are compared by identity.

    A notebook is one document here, made of its cells (`Notebook.document`). What the client knows, plain texts and
    cells, are `parts` of documents. A URI that is not open stands for one that is and means the same: clients do not
    always write a URI as they wrote it before.
    """

    def __init__(
        self, encoding: PositionEncoding, on_edit: Callable[[Document, Splice], None] = lambda document, edit: None
    ) -> None:
        self.encoding = encoding
        self._on_edit = on_edit
        self._documents: dict[str, Document] = {}
        self._notebooks: dict[str, Notebook] = {}  # by URI of the notebook
        self._owners: dict[str, str] = {}  # of cells, by URI
        self._spellings: dict[str, str] = {}  # of open documents, by normal URI

    def open(self, document: Document) -> bool:
        """Take in a document; one that is open already is replaced. False if it is a cell of an open notebook."""
        if document.uri in self._owners:
            logger.warning("a cell of an open notebook was opened as a document; that was ignored")
            return False
        self._documents[document.uri] = document
        self._spellings[normal_uri(document.uri)] = document.uri
        return True

    def change(self, uri: str, version: int, changes: Sequence[TextChange]) -> bool:
        """Apply one notification's edits; `on_edit` sees each before. Returns False if the document is not open."""
        uri = self._as_opened(uri)
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
        if self._spellings.get(normal := normal_uri(uri)) == uri:
            del self._spellings[normal]

    def open_notebook(self, notebook: Notebook) -> None:
        """Take in a notebook that is not open, whose cells are not open as documents."""
        self._keep(notebook)

    def change_notebook(self, uri: str, change: NotebookChange) -> tuple[Notebook, Notebook] | None:
        """Apply one notification's changes; the notebook before and after, None if it is not open."""
        before = self._notebooks.get(uri)
        if before is None:
            logger.warning("a change of a notebook that is not open was ignored")
            return None
        after = before.apply_change(change)
        self._note_difference(before, after)
        for edit in change.edits:
            after = self._with_edited_cell(after, edit, change.version)
        self._keep(after)
        return before, after

    def close_notebook(self, uri: str) -> Notebook | None:
        """Forget a notebook and its cells; the result is its last snapshot, None if it was not open."""
        notebook = self._notebooks.pop(uri, None)
        if notebook is not None:
            self._owners = {cell: owner for cell, owner in self._owners.items() if owner != uri}
            self.close(notebook.document.uri)
        return notebook

    def notebook(self, uri: str) -> Document | None:
        """The document of a notebook, None if that is not open."""
        notebook = self._notebooks.get(uri)
        return None if notebook is None else notebook.document

    def is_cell(self, uri: str) -> bool:
        """Whether this is a cell of an open notebook."""
        return uri in self._owners

    def part(self, uri: str) -> Part | None:
        """What the client knows by this URI, as it is now; None if it is not open or is a cell without Python."""
        owner = self._owners.get(uri)
        if owner is not None:
            return self._notebooks[owner].part(uri)
        document = self.get(uri)
        return None if document is None else Part.whole(document)

    def parts(self, document: Document) -> Sequence[Part]:
        """All parts of a newest snapshot."""
        for notebook in self._notebooks.values():
            if notebook.document is document:
                return notebook.parts
        return (Part.whole(document),)

    def get(self, uri: str) -> Document | None:
        """The newest snapshot, or None if the document is not open."""
        return self._documents.get(self._as_opened(uri))

    def is_newest(self, document: Document) -> bool:
        """Whether the snapshot is still what the client shows."""
        return self._documents.get(document.uri) is document

    def all(self) -> list[Document]:
        """The newest snapshots, in the order the documents were opened."""
        return list(self._documents.values())

    def _as_opened(self, uri: str) -> str:
        return uri if uri in self._documents else self._spellings.get(normal_uri(uri), uri)

    def _with_edited_cell(self, notebook: Notebook, edit: CellEdit, version: int) -> Notebook:
        for change in edit.changes:
            cell = notebook.documents.get(edit.uri)
            if cell is None:
                logger.warning("an edit of a cell that is not open was ignored")
                return notebook
            after = notebook.replace_cell(apply_changes(cell, [change], edit.version, self.encoding), version)
            part = notebook.part(edit.uri)
            if part is not None and after.part(edit.uri) is not None:
                one = edit_of(cell, change, self.encoding)
                moved = one._replace(start=one.start + part.start, end=one.end + part.start)
                self._on_edit(notebook.document, moved)
            else:
                self._note_difference(notebook, after)
            notebook = after
        return notebook

    def _note_difference(self, before: Notebook, after: Notebook) -> None:
        """Report a change of whole cells as one edit."""
        if after.document is not before.document:
            rewritten = TextChange(None, None, after.document.text)
            self._on_edit(before.document, edit_of(before.document, rewritten, self.encoding))

    def _keep(self, notebook: Notebook) -> None:
        self._owners = {cell: owner for cell, owner in self._owners.items() if owner != notebook.uri}
        self._owners.update(dict.fromkeys(notebook.documents, notebook.uri))
        self._notebooks[notebook.uri] = notebook
        self._documents[notebook.document.uri] = notebook.document


class Whereabouts:
    """The offset of the last edit, hover or code action in each document, by its URI."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def is_at(self, uri: str, offset: int) -> None:
        """Take note that something was done or asked there."""
        self._places[uri] = offset

    def is_within(self, uri: str, span: Span) -> None:
        """Take note that something was asked about all of the span, which holds what is on the screen."""
        if not span.start <= self._places.get(uri, 0) <= span.end:
            self._places[uri] = span.start

    def place(self, document: Document) -> int:
        """An offset in the document; its start where nothing is known."""
        return min(self._places.get(document.uri, 0), document.lines.length)

    def forget(self, uri: str) -> None:
        """Drop what is known of a document."""
        self._places.pop(uri, None)


# The text the client sent is all that counts, so documents that were never saved are as good as files. Others (a diff's
# old side, terminal output, ...) are not something a person edits.
_SCHEMES = frozenset({"file", "untitled", "vscode-notebook-cell", "vscode-remote", "vscode-vfs"})


def reason_not_scored(document: Document, settings: Settings) -> str | None:
    """Why the document is not scored, for people; None if it is."""
    if not settings.enabled:
        return "risk-lsp is turned off (setting enabled)"
    scheme = document.uri.partition(":")[0].lower()
    if scheme not in _SCHEMES:
        return f"documents of the kind '{scheme}:' are not scored, only files and unsaved texts"
    if document.language_id in PROSE_LANGUAGES:
        return f"this document is not scored: {NOT_FOR_PROSE}"
    length = document.lines.length  # every keystroke comes here: the text is not put together for it
    if length > settings.max_characters:
        return (
            f"this document has {length:,} characters and documents over {settings.max_characters:,} are not scored"
            " (setting maxCharacters)"
        )
    return None


class DocumentEvents:
    """Handlers of the notifications about documents, which are kept, scored and shown."""

    def __init__(self, state: State, publisher: Publisher, repairs: Repairs) -> None:
        self._state = state
        self._publisher = publisher
        self._repairs = repairs

    def handlers(self) -> dict[str, Callable[..., None]]:
        """The handlers by method."""
        return {
            types.TEXT_DOCUMENT_DID_OPEN: self._did_open,
            types.TEXT_DOCUMENT_DID_CHANGE: self._did_change,
            types.TEXT_DOCUMENT_DID_SAVE: self._did_save,
            types.TEXT_DOCUMENT_DID_CLOSE: self._did_close,
            types.WORKSPACE_DID_CHANGE_WATCHED_FILES: self._did_change_files,
            types.NOTEBOOK_DOCUMENT_DID_OPEN: self._did_open_notebook,
            types.NOTEBOOK_DOCUMENT_DID_CHANGE: self._did_change_notebook,
            types.NOTEBOOK_DOCUMENT_DID_SAVE: self._did_save_notebook,
            types.NOTEBOOK_DOCUMENT_DID_CLOSE: lambda params: self._close_notebook(params.notebook_document.uri),
        }

    def consider(self, document: Document, quiet: float) -> None:
        """Have the document scored after `quiet` seconds without an edit, unless settings or a pause forbid it."""
        self._drop_outdated_repairs()
        if not self._state.settings.enabled or self._state.snooze.is_on:
            return
        if reason_not_scored(document, self._state.settings_of(document)) is None:
            self._state.analyzer.schedule(document.uri, quiet)
            return
        self._state.analyzer.forget(document.uri)
        self._state.views.forget(document.uri)
        self._publisher.show_nothing(document)

    def clear_all(self) -> None:
        """Stop all scoring and take all diagnostics back."""
        self._state.analyzer.forget_all()
        self._state.views.forget_all()
        for document in self._state.documents.all():
            self._publisher.show_nothing(document)

    def settle_all(self) -> None:
        """Settle what became of generated lines, as if every document were closed."""
        for document in self._state.documents.all():
            self._state.accepted.close(document, self._others(document))

    def look_up_place(self, document: Document) -> None:
        """Ask where a document's lines are. Where nothing of the workspace may be run, git does not look into it."""
        self._state.places.look_up(document, ask_git=self._state.settings.trusted)

    def _did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        document = document_of(params.text_document)
        before = self._state.documents.get(document.uri)
        if before is not None:  # a client that forgot to close it
            self._state.accepted.close(before, self._others(before))
        if self._state.documents.open(document):
            self._state.personal.refresh()
            self.look_up_place(document)
            self.consider(document, 0.0)

    def _did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        uri, version = params.text_document.uri, params.text_document.version
        if self._state.documents.change(uri, version, changes_of(params.content_changes)):
            document = self._state.documents.get(uri)
            assert document is not None  # it was changed
            self.consider(document, self._state.settings_of(document).debounce)

    def _did_save(self, params: types.DidSaveTextDocumentParams) -> None:
        document = self._state.documents.get(params.text_document.uri)
        if document is not None:
            self._state.regions.note_save(document.uri)
            self.look_up_place(document)
            self._state.accepted.settle_old(document, self._others(document))

    def _did_change_files(self, params: types.DidChangeWatchedFilesParams) -> None:
        """Files on disk changed. Of one that is open, the client tells the text itself."""
        for event in params.changes if self._state.settings.trusted else ():
            if self._state.documents.get(event.uri) is None:
                is_there = event.type is not types.FileChangeType.Deleted
                self._state.regions.note_on_disk(event.uri, is_there=is_there)

    def _did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        uri = params.text_document.uri
        if not self._state.documents.is_cell(uri):
            last = self._state.documents.get(uri)
            uri = uri if last is None else last.uri
            self._forget(uri, last)
            self._publisher.take_back([uri])

    def _forget(self, uri: str, last: Document | None) -> None:
        """Drop a document, given its last snapshot, and all that is known of it."""
        if last is not None:
            self._state.accepted.close(last, self._others(last))
        self._state.documents.close(uri)
        self._drop_outdated_repairs()
        self._state.analyzer.forget(uri)
        self._state.views.forget(uri)
        self._state.regions.forget(uri)
        self._state.places.forget(uri)
        self._state.attention.forget(uri)

    def _others(self, document: Document) -> list[Document]:
        return [other for other in self._state.documents.all() if other.uri != document.uri]

    def _drop_outdated_repairs(self) -> None:
        for job in self._repairs.jobs:
            job.cancel_if_outdated(self._state.documents)

    # Notebooks

    def _did_open_notebook(self, params: types.DidOpenNotebookDocumentParams) -> None:
        notebook = notebook_of(params)
        self._close_notebook(notebook.uri)
        self._take_over(notebook.documents)
        self._state.documents.open_notebook(notebook)
        self.look_up_place(notebook.document)
        self.consider(notebook.document, 0.0)

    def _did_change_notebook(self, params: types.DidChangeNotebookDocumentParams) -> None:
        change = notebook_change_of(params)
        self._take_over(document.uri for document in change.opened)
        changed = self._state.documents.change_notebook(params.notebook_document.uri, change)
        if changed is None:
            return
        before, after = changed
        self._publisher.take_back(part.uri for part in before.parts if after.part(part.uri) is None)
        if after.document is not before.document:
            self.consider(after.document, self._state.settings_of(after.document).debounce)
        elif after.parts != before.parts:
            self._publisher.show_again(after.document)

    def _did_save_notebook(self, params: types.DidSaveNotebookDocumentParams) -> None:
        document = self._state.documents.notebook(params.notebook_document.uri)
        if document is not None:
            self.look_up_place(document)

    def _close_notebook(self, uri: str) -> None:
        notebook = self._state.documents.close_notebook(uri)
        if notebook is not None:
            self._forget(notebook.document.uri, notebook.document)
            self._publisher.take_back(part.uri for part in notebook.parts)

    def _take_over(self, cells: Iterable[str]) -> None:
        """Forget the texts of their own that these cells were until now."""
        for uri in cells:
            if (document := self._state.documents.get(uri)) is not None:
                self._forget(uri, document)
                self._publisher.take_back([uri])
