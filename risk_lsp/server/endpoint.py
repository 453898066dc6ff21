"""Messages to the client: the pygls server without its popups, and the few things we send."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.protocol import default_converter

from risk_lsp import __version__
from risk_lsp.errors import RiskError
from risk_lsp.server.barrier import barrier, log_failure
from risk_lsp.server.handshake import SERVER_NAME
from risk_lsp.server.protocol import RiskProtocol

_SECONDS_BETWEEN_NOTICES = 60.0

logger = logging.getLogger(__name__)


class Endpoint(LanguageServer):
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
