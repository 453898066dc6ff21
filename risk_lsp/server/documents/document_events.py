"""What follows when a client opens, edits, saves or closes documents and notebooks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lsprotocol import types

from risk_lsp.server.documents.open_documents import reason_not_scored
from risk_lsp.server.documents.publisher import Publisher
from risk_lsp.server.repair.queue import Repairs
from risk_lsp.server.state import State
from risk_lsp.server.wire.convert import changes_of, document_of, notebook_change_of, notebook_of
from risk_lsp.text.document import Document


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
        if reason_not_scored(document, self._state.settings) is None:
            self._state.analyzer.schedule(document.uri, quiet)
            return
        self._state.analyzer.forget(document.uri)
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
            self.consider(document, self._state.settings.debounce)

    def _did_save(self, params: types.DidSaveTextDocumentParams) -> None:
        document = self._state.documents.get(params.text_document.uri)
        if document is not None:
            self.look_up_place(document)
            self._state.accepted.settle_old(document, self._others(document))

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
            self.consider(after.document, self._state.settings.debounce)
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
