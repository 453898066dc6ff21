"""One client from the handshake to the end: which message leads to what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias

from lsprotocol import types
from pygls.exceptions import JsonRpcContentModified, JsonRpcException, JsonRpcInvalidParams

from risk_lsp.errors import RiskError, WorkerError
from risk_lsp.model.supervisor import WorkerState
from risk_lsp.server.analysis import Analysis, Analyzer
from risk_lsp.server.barrier import REQUEST_FAILED, barrier, log_failure
from risk_lsp.server.client import Client
from risk_lsp.server.configuration import Configuration
from risk_lsp.server.convert import changes_of, document_of
from risk_lsp.server.diagnostics import diagnostics_of
from risk_lsp.server.endpoint import Endpoint
from risk_lsp.server.handshake import Handshake
from risk_lsp.server.hover import hover_of, note
from risk_lsp.server.limits import reason_not_scored
from risk_lsp.server.model_host import ModelHost, worker_options
from risk_lsp.server.options import ServerOptions
from risk_lsp.server.progress import LoadingProgress
from risk_lsp.server.query import LINES, QUERY, lines_answer, query_answer, spans_of, uri_of
from risk_lsp.server.workspace import OpenDocuments
from risk_lsp.settings import SECTION, Settings
from risk_lsp.text.document import Document
from risk_lsp.text.positions import PositionEncoding

# A generator in pygls's sense: it yields a handler to run with its arguments, gets the result, and returns the answer.
Step: TypeAlias = "Generator[tuple[Callable[..., Any], tuple[Any, ...], None], Any, dict[str, Any]]"


class Session:
    """Owns everything that belongs to one client. Call `start`, pass message bodies to `receive`, await `closed`."""

    def __init__(self, agreed: Handshake, options: ServerOptions, command: Sequence[str] | None) -> None:
        self.endpoint = Endpoint()
        self.endpoint.protocol.adopt(agreed)
        self.client = Client.of(agreed.params)
        self.closed = asyncio.Event()
        self.was_shut_down = False
        self._encoding = PositionEncoding(agreed.encoding)
        self._configuration = Configuration(options, self.client.initialization_options)
        self._documents = OpenDocuments(self._encoding)
        self._host = ModelHost(command, self._model_changed)
        self._analyzer = Analyzer(self._documents, self._host.score, self._publish)
        self._progress = LoadingProgress(self.client.work_done_progress, self.endpoint.request, self.endpoint.notify)
        self._may_send_requests = False  # until the client is initialized, too
        self._tasks: set[asyncio.Task[None]] = set()
        self._register()

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._configuration.current

    async def start(self) -> None:
        """Begin to load the model, without waiting for it."""
        await self._host.apply(self.settings)

    def receive(self, body: bytes) -> None:
        """Handle one message."""
        self.endpoint.protocol.receive(body)

    async def stop(self) -> None:
        """End all work and the worker."""
        self._analyzer.forget_all()
        for task in self._tasks:
            task.cancel()
        await self._host.stop()

    def _register(self) -> None:
        handlers: dict[str, Callable[..., Any]] = {
            types.INITIALIZED: self._initialized,
            types.SHUTDOWN: self._shutdown,
            types.EXIT: self._exit,
            types.TEXT_DOCUMENT_DID_OPEN: self._did_open,
            types.TEXT_DOCUMENT_DID_CHANGE: self._did_change,
            types.TEXT_DOCUMENT_DID_CLOSE: self._did_close,
            types.TEXT_DOCUMENT_HOVER: self._hover,
            types.WORKSPACE_DID_CHANGE_CONFIGURATION: self._did_change_configuration,
            QUERY: self._query,
            LINES: self._lines,
        }
        for method, handler in handlers.items():
            self.endpoint.handle(method, handler)

    # The session

    def _initialized(self, _: types.InitializedParams) -> None:
        self._may_send_requests = True
        self._show_progress()
        self._report(self._configuration.initial_problems)
        if self.client.registers_configuration_changes:
            method = types.WORKSPACE_DID_CHANGE_CONFIGURATION
            registration = types.Registration(method, method, {"section": SECTION})
            self.endpoint.request(
                types.CLIENT_REGISTER_CAPABILITY, types.RegistrationParams([registration]), lambda _: None
            )
        self._pull_configuration()

    async def _shutdown(self, _: object) -> None:
        self._clear_all()
        await self.stop()
        self.was_shut_down = True

    def _exit(self, _: object) -> None:
        self.closed.set()

    # Documents

    def _did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        document = document_of(params.text_document)
        self._documents.open(document)
        self._consider(document, 0.0)

    def _did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        uri, version = params.text_document.uri, params.text_document.version
        if self._documents.change(uri, version, changes_of(params.content_changes)):
            document = self._documents.get(uri)
            assert document is not None
            self._consider(document, self.settings.debounce)

    def _did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        uri = params.text_document.uri
        self._documents.close(uri)
        self._analyzer.forget(uri)
        self.endpoint.publish(uri, None, [])

    def _consider(self, document: Document, quiet: float) -> None:
        """Have the document scored, unless it is not to be."""
        if not self.settings.enabled:
            return
        if reason_not_scored(document, self.settings) is None:
            self._analyzer.schedule(document.uri, quiet)
            return
        self._analyzer.forget(document.uri)
        self.endpoint.publish(document.uri, document.version, [])

    def _publish(self, analysis: Analysis) -> None:
        diagnostics = diagnostics_of(analysis, self.settings, self._encoding)
        self.endpoint.publish(analysis.document.uri, analysis.document.version, diagnostics)

    def _clear_all(self) -> None:
        self._analyzer.forget_all()
        for document in self._documents.all():
            self.endpoint.publish(document.uri, document.version, [])

    # Questions

    def _hover(self, params: types.HoverParams) -> types.Hover | None:
        document = self._documents.get(params.text_document.uri)
        if document is None or not self.settings.enabled:
            return None
        outcome = self._analyzer.outcome(document)
        markdown = self.client.markdown_hover
        if isinstance(outcome, Analysis):
            return hover_of(outcome, params.position, self._encoding, self._host.reference, markdown)
        return note(self._why_no_number(document, outcome), markdown)

    def _why_no_number(self, document: Document, outcome: RiskError | None) -> str:
        if (reason := reason_not_scored(document, self.settings)) is not None:
            return reason
        if (reason := self._host.explanation()) is not None:
            return reason
        return "this text is being scored" if outcome is None else f"this document was not scored: {outcome}"

    # These two pick the snapshot before the next message is handled: it may be an edit.

    def _query(self, params: Any) -> Step:
        document = self._document_of(params)
        spans = spans_of(params, document, self._encoding)
        return query_answer((yield barrier(QUERY, self._analysis_of), (document,), None), spans)

    def _lines(self, params: Any) -> Step:
        document = self._document_of(params)
        return lines_answer((yield barrier(LINES, self._analysis_of), (document,), None))

    def _document_of(self, params: object) -> Document:
        uri = uri_of(params)
        document = self._documents.get(uri)
        if document is None:
            raise JsonRpcInvalidParams(f"{uri} is not an open document; open it first")
        return document

    async def _analysis_of(self, document: Document) -> Analysis:
        if not self.settings.enabled:
            raise JsonRpcException("risk-lsp is turned off (setting enabled)", REQUEST_FAILED)
        if (reason := reason_not_scored(document, self.settings)) is not None:
            raise JsonRpcException(reason, REQUEST_FAILED)
        outcome = await self._analyzer.of_newest(document)
        if outcome is None:
            raise JsonRpcContentModified("the document changed meanwhile; ask again")
        if isinstance(outcome, RiskError):
            raise outcome
        return outcome

    # Settings

    def _did_change_configuration(self, params: types.DidChangeConfigurationParams) -> None:
        if self.client.configuration:
            self._pull_configuration()
        else:
            self._configured(params.settings)

    def _pull_configuration(self) -> None:
        if self.client.configuration:
            params = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
            self.endpoint.request(
                types.WORKSPACE_CONFIGURATION, params, lambda answer: self._configured(answer[0] if answer else None)
            )

    def _configured(self, raw: object) -> None:
        before = self.settings
        self._report(self._configuration.update(raw))
        task = asyncio.get_running_loop().create_task(self._put_in_force(before, self.settings))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _put_in_force(self, before: Settings, after: Settings) -> None:
        """Do what a change of settings asks for; only one of the model's own settings needs a new worker."""
        try:
            await self._host.apply(after)
        except Exception as error:
            log_failure("a change of settings", error)
        if not after.enabled:
            if before.enabled:
                self._clear_all()
            return
        if worker_options(before) != worker_options(after):
            self._analyzer.rescore_all(forgive=True)
        if before != after:
            for analysis in self._analyzer.analyses():
                self._publish(analysis)
            for document in self._documents.all():
                self._consider(document, 0.0)

    def _report(self, problems: Sequence[str]) -> None:
        if problems:
            self.endpoint.tell(types.MessageType.Warning, "risk-lsp settings: " + "; ".join(problems))

    # The model

    def _model_changed(self, state: WorkerState, failure: WorkerError | None) -> None:
        self._show_progress()
        if state is WorkerState.RESTARTING:
            if failure is not None:
                self._say_restarting(failure)
            self._analyzer.rescore_all()
        if state is WorkerState.FAILED:
            self.endpoint.tell(types.MessageType.Error, f"risk-lsp: the model could not be loaded: {failure}")

    def _show_progress(self) -> None:
        if not self._host.is_loading():
            self._progress.end()
        elif self._may_send_requests:
            self._progress.begin("loading the model")

    def _say_restarting(self, failure: WorkerError) -> None:
        text = f"risk-lsp: {failure.message}; it is started again and open documents are scored anew"
        self.endpoint.tell(types.MessageType.Warning, text, "restart")
