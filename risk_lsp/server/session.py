"""One client from the handshake to the end: which message leads to what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from lsprotocol import types

from risk_lsp.errors import WorkerError
from risk_lsp.server.configuration import USER_SETTINGS, Configuration, ServerOptions
from risk_lsp.server.documents.analysis import Analyzer
from risk_lsp.server.documents.generated import GeneratedRegions
from risk_lsp.server.documents.ignored_lines import IgnoreStore, default_data_folder
from risk_lsp.server.documents.line_view import LineViews
from risk_lsp.server.documents.model_host import ModelHost, worker_options
from risk_lsp.server.documents.open_documents import OpenDocuments, Whereabouts, reason_not_scored
from risk_lsp.server.documents.publisher import Publisher, Refresher
from risk_lsp.server.features.commands import CommandRunner
from risk_lsp.server.features.questions import Questions
from risk_lsp.server.repair.queue import Repairs
from risk_lsp.server.state import LoadingProgress, Snooze, State, StatusReporter, status_of
from risk_lsp.server.wire.barrier import log_failure
from risk_lsp.server.wire.client import Client, Messenger
from risk_lsp.server.wire.convert import changes_of, document_of, notebook_change_of, notebook_of
from risk_lsp.server.wire.handshake import Handshake
from risk_lsp.settings import SECTION, Settings
from risk_lsp.text.document import Document
from risk_lsp.text.positions import PositionEncoding
from risk_lsp.text.tracking import Splice
from risk_lsp.worker.supervisor import WorkerState


class Session:
    """Owns everything that belongs to one client. Call `start`, pass message bodies to `receive`, await `closed`."""

    def __init__(self, agreed: Handshake, options: ServerOptions, command: Sequence[str] | None) -> None:
        self.messenger = Messenger()
        self.messenger.protocol.adopt(agreed)
        self.client = Client.of(agreed.params)
        self.closed = asyncio.Event()
        self.was_shut_down = False
        self.data_folder = Path(options.data_folder) if options.data_folder else default_data_folder()
        self.state = self._new_state(agreed, options, command)
        self.questions = Questions(self.state)
        self._refresher = Refresher(self.client.refreshes, self.messenger.request)
        pull = "diagnosticProvider" in agreed.capabilities
        self.publisher = Publisher(
            self.state, self.questions, self.messenger, self._refresher, self._tell_status, pull=pull
        )
        self.repairs = Repairs(self.state, self.questions, self.messenger, self.data_folder)
        self._progress = LoadingProgress(self.client.work_done_progress, self.messenger.request, self.messenger.notify)
        self._status = StatusReporter(self.messenger.notify) if self.client.wants_status else None
        self._is_initialized = False  # until then a server may send next to nothing
        self._tasks: set[asyncio.Task[None]] = set()
        self._register()

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.state.settings

    async def start(self) -> None:
        """Begin to load the model, without waiting for it."""
        await self.state.host.apply(self.settings)

    def receive(self, bodies: Sequence[bytes]) -> None:
        """Handle messages that arrived together."""
        self.messenger.protocol.receive(bodies)

    async def stop(self) -> None:
        """End all work and the worker."""
        self.state.analyzer.forget_all()
        self.state.snooze.cancel()
        for task in self._tasks:
            task.cancel()
        await self.repairs.stop()
        await self.state.host.stop()

    def _new_state(self, agreed: Handshake, options: ServerOptions, command: Sequence[str] | None) -> State:
        encoding = PositionEncoding(agreed.encoding)
        regions, attention = GeneratedRegions(), Whereabouts()

        def edited(document: Document, edit: Splice) -> None:
            attention.is_at(document.uri, edit.start + len(edit.inserted))
            regions.follow(document, edit, documents.all())

        documents = OpenDocuments(encoding, edited)
        host = ModelHost(command, self._model_changed)
        store = IgnoreStore(self.data_folder / "ignored")
        return State(
            client=self.client,
            encoding=encoding,
            configuration=Configuration(options, self.client.initialization_options),
            documents=documents,
            host=host,
            analyzer=Analyzer(
                documents,
                lambda document, on_part: host.score(document, lambda: attention.place(document), on_part),
                lambda analysis: self.publisher.show(analysis),
            ),
            views=LineViews(store, regions),
            snooze=Snooze(self._snooze_changed),
            store=store,
            regions=regions,
            attention=attention,
        )

    def _register(self) -> None:
        handlers: dict[str, Callable[..., Any]] = {
            types.INITIALIZED: self._initialized,
            types.SHUTDOWN: self._shutdown,
            types.EXIT: self._exit,
            types.TEXT_DOCUMENT_DID_OPEN: self._did_open,
            types.TEXT_DOCUMENT_DID_CHANGE: self._did_change,
            types.TEXT_DOCUMENT_DID_CLOSE: self._did_close,
            types.NOTEBOOK_DOCUMENT_DID_OPEN: self._did_open_notebook,
            types.NOTEBOOK_DOCUMENT_DID_CHANGE: self._did_change_notebook,
            types.NOTEBOOK_DOCUMENT_DID_SAVE: lambda _: None,  # nothing on the save path
            types.NOTEBOOK_DOCUMENT_DID_CLOSE: self._did_close_notebook,
            types.WORKSPACE_DID_CHANGE_CONFIGURATION: self._did_change_configuration,
            USER_SETTINGS: self._did_change_user_settings,
            types.WORKSPACE_EXECUTE_COMMAND: CommandRunner(self).execute,
            types.WINDOW_WORK_DONE_PROGRESS_CANCEL: self.repairs.cancel_shown,
            **self.questions.handlers(),
        }
        for method, handler in handlers.items():
            self.messenger.handle(method, handler)

    # The session

    def _initialized(self, _: types.InitializedParams) -> None:
        self._is_initialized = True
        self._show_progress()
        self._tell_status()
        self._report(self.state.configuration.initial_problems)
        if self.client.registers_configuration_changes:
            method = types.WORKSPACE_DID_CHANGE_CONFIGURATION
            registration = types.Registration(method, method, {"section": SECTION})
            self.messenger.request(
                types.CLIENT_REGISTER_CAPABILITY, types.RegistrationParams([registration]), lambda _: None
            )
        self._pull_configuration()

    async def _shutdown(self, _: object) -> None:
        self._clear_all()
        self._status = None  # what follows is not news
        self._refresher.stop()
        await self.stop()
        self.was_shut_down = True

    def _exit(self, _: object) -> None:
        self.closed.set()

    # Documents

    def _did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        document = document_of(params.text_document)
        if self.state.documents.open(document):
            self._consider(document, 0.0)

    def _did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        uri, version = params.text_document.uri, params.text_document.version
        if self.state.documents.change(uri, version, changes_of(params.content_changes)):
            document = self.state.documents.get(uri)
            assert document is not None
            self._consider(document, self.settings.debounce)

    def _did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        uri = params.text_document.uri
        if not self.state.documents.is_cell(uri):
            self._forget(uri)
            self.publisher.take_back([uri])

    def _forget(self, uri: str) -> None:
        """Drop a document and all that is known of it."""
        self.state.documents.close(uri)
        self.repairs.drop_outdated()
        self.state.analyzer.forget(uri)
        self.state.views.forget(uri)
        self.state.regions.forget(uri)
        self.state.attention.forget(uri)

    # Notebooks

    def _did_open_notebook(self, params: types.DidOpenNotebookDocumentParams) -> None:
        notebook = notebook_of(params)
        self._close_notebook(notebook.uri)
        self._take_over(notebook.documents)
        self.state.documents.open_notebook(notebook)
        self._consider(notebook.document, 0.0)

    def _did_change_notebook(self, params: types.DidChangeNotebookDocumentParams) -> None:
        change = notebook_change_of(params)
        self._take_over(document.uri for document in change.opened)
        changed = self.state.documents.change_notebook(params.notebook_document.uri, change)
        if changed is None:
            return
        before, after = changed
        self.publisher.take_back(part.uri for part in before.parts if after.part(part.uri) is None)
        if after.document is not before.document:
            self._consider(after.document, self.settings.debounce)
        elif after.parts != before.parts:
            self.publisher.show_again(after.document)

    def _did_close_notebook(self, params: types.DidCloseNotebookDocumentParams) -> None:
        self._close_notebook(params.notebook_document.uri)

    def _close_notebook(self, uri: str) -> None:
        notebook = self.state.documents.close_notebook(uri)
        if notebook is not None:
            self._forget(notebook.document.uri)
            self.publisher.take_back(part.uri for part in notebook.parts)

    def _take_over(self, cells: Iterable[str]) -> None:
        """What was open as a text of its own is part of a notebook from now on."""
        for uri in cells:
            if self.state.documents.get(uri) is not None:
                self._forget(uri)
                self.publisher.take_back([uri])

    def _consider(self, document: Document, quiet: float) -> None:
        """Have the document scored, unless it is not to be, or not now."""
        self.repairs.drop_outdated()
        if not self.settings.enabled or self.state.snooze.is_on:
            return
        if reason_not_scored(document, self.settings) is None:
            self.state.analyzer.schedule(document.uri, quiet)
            return
        self.state.analyzer.forget(document.uri)
        self.publisher.show_nothing(document)

    def _clear_all(self) -> None:
        self.state.analyzer.forget_all()
        self.state.views.forget_all()
        for document in self.state.documents.all():
            self.publisher.show_nothing(document)

    # Pauses

    def _snooze_changed(self) -> None:
        """Show nothing, or everything again; what was edited in the pause is scored now."""
        if self.state.snooze.is_on:
            for document in self.state.documents.all():
                self.publisher.show_nothing(document)
        self.publisher.show_all()
        for document in self.state.documents.all():
            self._consider(document, 0.0)
        self._tell_status()

    # Settings

    def _did_change_configuration(self, params: types.DidChangeConfigurationParams) -> None:
        if self.client.configuration:
            self._pull_configuration()
        else:
            self._configured(params.settings)

    def _pull_configuration(self) -> None:
        if self.client.configuration:
            params = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
            self.messenger.request(
                types.WORKSPACE_CONFIGURATION, params, lambda answer: self._configured(answer[0] if answer else None)
            )

    def _did_change_user_settings(self, params: object) -> None:
        before = self.settings
        self._report(self.state.configuration.update_user(params))
        self._follow(before)

    def _configured(self, raw: object) -> None:
        before = self.settings
        self._report(self.state.configuration.update(raw))
        self._follow(before)

    def _follow(self, before: Settings) -> None:
        task = asyncio.get_running_loop().create_task(self._put_in_force(before, self.settings))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _put_in_force(self, before: Settings, after: Settings) -> None:
        """Do what a change of settings asks for; only one of the model's own settings needs a new worker."""
        try:
            await self.state.host.apply(after)
        except Exception as error:
            log_failure("a change of settings", error)
        self._tell_status()
        self._refresher.want(
            kind
            for kind, changed in (
                ("inlayHint", before.inlay_hints != after.inlay_hints or before.enabled != after.enabled),
                ("codeLens", before.code_lens != after.code_lens or before.enabled != after.enabled),
            )
            if changed
        )
        if not after.enabled:
            if before.enabled:
                self._clear_all()
            return
        if worker_options(before) != worker_options(after):
            self.state.views.forget_all()
            self.state.analyzer.rescore_all(forgive=True)
        if before != after:
            for document in self.state.documents.all():
                self._consider(document, 0.0)
            self.publisher.show_all()

    def _report(self, problems: Sequence[str]) -> None:
        if problems:
            self.messenger.tell(types.MessageType.Warning, "risk-lsp settings: " + "; ".join(problems))

    # The model

    def _model_changed(self, state: WorkerState, failure: WorkerError | None) -> None:
        self._show_progress()
        self._tell_status()
        if state is WorkerState.RESTARTING:
            if failure is not None:
                self._say_restarting(failure)
            self.state.analyzer.rescore_all()
        if state is WorkerState.FAILED:
            self.messenger.tell(types.MessageType.Error, f"risk-lsp: the model could not be loaded: {failure}")

    def _show_progress(self) -> None:
        if not self.state.host.is_loading():
            self._progress.end()
        elif self._is_initialized:
            self._progress.begin("loading the model")

    def _tell_status(self) -> None:
        if self._status is not None and self._is_initialized:
            state = self.state
            self._status.report(status_of(self.settings.enabled, state.snooze.until, state.host, self.publisher.remark))

    def _say_restarting(self, failure: WorkerError) -> None:
        text = f"risk-lsp: {failure.message}; it is started again and open documents are scored anew"
        self.messenger.tell(types.MessageType.Warning, text, "restart")
