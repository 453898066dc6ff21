"""The client: what it said about itself in `initialize`, and the messages that it is sent."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.protocol import default_converter

from risk_lsp import __version__
from risk_lsp.errors import RiskError
from risk_lsp.server.wire.barrier import barrier, log_failure
from risk_lsp.server.wire.handshake import SERVER_NAME
from risk_lsp.server.wire.protocol import RiskProtocol
from risk_lsp.settings import SECTION

_TEXT_DOCUMENT = ("capabilities", "textDocument")
# What a client can do for repairs: ask for a hint, ask its own model, keep a secret, show an explanation itself.
_OFFERS = ("hint", "chat", "secret", "explanation")


@dataclass(frozen=True)
class Client:
    """The client's features that change what the server does.

    Read from the message as sent: a client whose other capabilities are newer than the protocol library, or wrong, is
    served all the same.
    """

    process_id: int | None
    initialization_options: Any
    markdown_hover: bool
    work_done_progress: bool
    configuration: bool
    registers_configuration_changes: bool
    code_action_literals: bool
    document_changes: bool
    apply_edit: bool
    refreshes: frozenset[str]
    wants_status: bool
    wants_analysed: bool
    annotates_edits: bool
    offers: frozenset[str]

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Client:
        """Read the params of `initialize`; what is missing counts as not supported."""
        process_id = params.get("processId")
        formats = _at(params, *_TEXT_DOCUMENT, "hover", "contentFormat")
        return cls(
            process_id=process_id if type(process_id) is int else None,
            initialization_options=params.get("initializationOptions"),
            markdown_hover=_prefers_markdown(formats),
            work_done_progress=_at(params, "capabilities", "window", "workDoneProgress") is True,
            configuration=_at(params, "capabilities", "workspace", "configuration") is True,
            registers_configuration_changes=(
                _at(params, "capabilities", "workspace", "didChangeConfiguration", "dynamicRegistration") is True
            ),
            code_action_literals=_at(params, *_TEXT_DOCUMENT, "codeAction", "codeActionLiteralSupport") is not None,
            document_changes=_at(params, "capabilities", "workspace", "workspaceEdit", "documentChanges") is True,
            apply_edit=_at(params, "capabilities", "workspace", "applyEdit") is True,
            refreshes=_refreshes(params),
            wants_status=_at(params, "capabilities", "experimental", SECTION, "status") is True,
            wants_analysed=_at(params, "capabilities", "experimental", SECTION, "analysed") is True,
            annotates_edits=_annotates_edits(params),
            offers=frozenset(
                name for name in _OFFERS if _at(params, "capabilities", "experimental", SECTION, name) is True
            ),
        )


def _annotates_edits(params: Mapping[str, Any]) -> bool:
    """Whether annotated edits may be sent, which have a place among versioned ones only."""
    edits = _at(params, "capabilities", "workspace", "workspaceEdit")
    return isinstance(_at(edits, "changeAnnotationSupport"), Mapping) and _at(edits, "documentChanges") is True


def _refreshes(params: Mapping[str, Any]) -> frozenset[str]:
    """The names below `workspace` whose answers the client takes anew when the server says so."""
    names = ("inlayHint", "codeLens", "diagnostics")
    return frozenset(name for name in names if _at(params, "capabilities", "workspace", name, "refreshSupport") is True)


def _prefers_markdown(formats: object) -> bool:
    """The formats are in order of preference; a client that names none is taken to show plain text."""
    known = [name for name in formats if name in ("markdown", "plaintext")] if isinstance(formats, list) else []
    return known[:1] == ["markdown"]


def _at(value: object, *path: str) -> object:
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


_SECONDS_BETWEEN_NOTICES = 60.0

logger = logging.getLogger(__name__)


class Messenger(LanguageServer):
    """One client's end of the protocol."""

    protocol: RiskProtocol

    def __init__(self) -> None:
        super().__init__(SERVER_NAME, __version__, protocol_cls=RiskProtocol, converter_factory=default_converter)
        self._noticed: dict[str, float] = {}

    def handle(self, method: str, handler: Callable[..., Any]) -> None:
        """Call the handler, behind a barrier, for every message of the method."""
        # Not by pygls's decorator, which passes the server to handlers whose first parameter could be one.
        self.protocol.fm.features[method] = barrier(method, handler)

    def request(self, method: str, params: Any, on_result: Callable[[Any], None]) -> None:
        """Send a request. An error in return is only logged."""

        def answered(future: Future[Any]) -> None:
            if future.cancelled():
                return
            if future.exception() is not None:
                logger.warning("the client refused %s", method)
                return
            try:
                on_result(future.result())
            except Exception as error:
                log_failure(f"the result of {method}", error)

        self.protocol.send_request(method, params).add_done_callback(answered)

    async def ask(self, method: str, params: Any) -> Any:
        """The client's answer to a request, which cancelling takes back. Raises RiskError if the client refuses it."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answered(future: Future[Any]) -> None:
            if answer.done():
                return
            if future.cancelled() or future.exception() is not None:
                answer.set_exception(RiskError(f"the editor refused {method}", "update the editor or its extension"))
            else:
                answer.set_result(future.result())

        message_id = str(uuid.uuid4())
        self.protocol.send_request(method, params, msg_id=message_id).add_done_callback(answered)
        try:
            return await answer
        except asyncio.CancelledError:
            self.notify(types.CANCEL_REQUEST, types.CancelParams(message_id))
            raise

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self.protocol.notify(method, params)

    def publish(self, uri: str, version: int | None, diagnostics: Sequence[types.Diagnostic]) -> None:
        """Replace the document's diagnostics."""
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, diagnostics, version))

    def tell(self, level: types.MessageType, text: str, kind: str | None = None) -> None:
        """Show a message to the person; of those of one `kind` at most one a minute, the others are logged."""
        if kind is not None:
            now = time.monotonic()
            if now - self._noticed.get(kind, -_SECONDS_BETWEEN_NOTICES) < _SECONDS_BETWEEN_NOTICES:
                logger.warning("%s", text)
                return
            self._noticed[kind] = now
        self.window_show_message(types.ShowMessageParams(level, text))

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log an error that pygls would show to the person; our handlers have reported theirs already."""
        logger.debug("%s", type(error).__name__)
