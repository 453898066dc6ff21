"""pygls's protocol with what it leaves out: one answer to every request, no popups, no copies of documents.

`receive` takes message bodies and is the only way in; it never raises.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from typing import Any

from lsprotocol import types
from pygls.protocol import JsonRPCRequestMessage, LanguageServerProtocol
from pygls.protocol.json_rpc import JsonRPCNotification, JsonRPCResponseMessage

from risk_lsp.server.wire.barrier import log_failure
from risk_lsp.server.wire.handshake import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    REQUEST_CANCELLED,
    Handshake,
    error_response,
    parse_message,
)

logger = logging.getLogger(__name__)

# pygls would keep its own copy of every document, with lines that are not the protocol's; commands and exiting are ours
# too.
_NOT_BUILT_IN = (
    types.TEXT_DOCUMENT_DID_OPEN,
    types.TEXT_DOCUMENT_DID_CHANGE,
    types.TEXT_DOCUMENT_DID_CLOSE,
    types.NOTEBOOK_DOCUMENT_DID_OPEN,
    types.NOTEBOOK_DOCUMENT_DID_CHANGE,
    types.NOTEBOOK_DOCUMENT_DID_CLOSE,
    types.WORKSPACE_EXECUTE_COMMAND,
    types.WINDOW_WORK_DONE_PROGRESS_CANCEL,
    types.EXIT,
)
OWN_METHODS = "riskLsp/"
_COMMAND = types.WORKSPACE_EXECUTE_COMMAND  # with arguments of our own
_ANSWERS_AWAITED = 100  # of our own requests; a client that answers none must not cost memory without end


class PlainResponse(JsonRPCResponseMessage):
    """The response to a request of our own making, with its result as sent."""


class RiskProtocol(LanguageServerProtocol):
    """The protocol after the handshake."""

    def __init__(self, server: Any, converter: Any) -> None:
        super().__init__(server, converter)
        for method in _NOT_BUILT_IN:
            self.fm.builtin_features.pop(method, None)
        converter.register_structure_hook(PlainResponse, lambda message, _: PlainResponse(**message))
        self._request_futures = _OpenRequests()
        self._asked: dict[str, None] = {}  # the ids of our own requests, the oldest first

    def adopt(self, agreed: Handshake) -> None:
        """Take over what was agreed before this class was imported, the position encoding above all."""
        for _ in self.lsp_initialize(self._initialize_params(agreed)):
            raise AssertionError("initialize has no handler of our own")
        self.server_capabilities = self._converter.structure(agreed.capabilities, types.ServerCapabilities)

    def receive(self, bodies: Sequence[bytes]) -> None:
        """Handle message bodies that arrived together. A request that one behind it takes back is not begun; pygls
        would run it, and only then hear of that."""
        parsed = [parse_message(body) for body in bodies]
        cancelled = _cancellations([message for message, _ in parsed])
        for place, (message, unreadable) in enumerate(parsed):
            try:
                if unreadable is not None:
                    logger.warning("a message was refused: %s", unreadable["error"]["message"])
                response = unreadable or self._dispatch(message, place, cancelled)
                if response is not None:
                    self._send_data(response)
            except Exception as error:
                log_failure("a message", error)

    def _dispatch(self, message: dict[str, Any], place: int, cancelled: dict[Any, int]) -> dict[str, Any] | None:
        """Hand a message to its handler; the result is the error response to one that is not handled at all."""
        method, message_id = message.get("method"), message.get("id")
        if (reason := _malformed(message)) is not None:
            return error_response(None, INVALID_REQUEST, reason)
        is_request = method is not None and "id" in message
        if method is None and not self._is_answer(message_id):
            logger.warning("a response to nothing that was asked was ignored")
            return None
        if self._shutdown and method != types.EXIT:
            return error_response(message_id, INVALID_REQUEST, "the server is shutting down") if is_request else None
        if method == types.INITIALIZE:
            return error_response(message_id, INVALID_REQUEST, "the server has been initialized already")
        if is_request and _is_notification(method):
            return error_response(message_id, METHOD_NOT_FOUND, f"{method} is a notification")
        if is_request and cancelled.get(message_id, place) > place and method != types.SHUTDOWN:
            return error_response(message_id, REQUEST_CANCELLED, f"{method} was cancelled")
        try:
            structured = self._structured(message)
        except Exception as error:
            logger.warning("cannot read the params of %s: %s", method or "a response", type(error).__name__)
            if method is None:
                self._fail_answer(message_id, error)
            return error_response(message_id, INVALID_PARAMS, f"{method}: invalid params") if is_request else None
        self.handle_message(structured)
        return None

    def when_cancelled(self, call: Callable[[], object]) -> None:
        """Call something if the client cancels the request that is being handled; pygls only drops its answer."""
        future = self._request_futures.get(self.msg_id) if self.msg_id is not None else None
        if future is not None:
            future.add_done_callback(lambda done: call() if done.cancelled() else None)

    def _run_generator(
        self, future: Future[Any] | None, *, gen: Generator[Any, Any, Any], result_future: Future[Any]
    ) -> None:
        """Go on with a handler. What goes wrong once its request was cancelled is of no interest to anybody."""
        if future is not None and result_future.cancelled() and not future.cancelled():
            future.exception()
        super()._run_generator(future, gen=gen, result_future=result_future)

    def _fail_answer(self, message_id: object, error: Exception) -> None:
        """Tell whoever waits for the answer to one of our requests that it cannot be read."""
        future = self._request_futures.pop(message_id, None) if isinstance(message_id, str) else None
        if future is not None:
            future.set_exception(error)

    def _structured(self, message: dict[str, Any]) -> Any:
        """The message as a typed object; our own methods keep their params as sent and check them themselves."""
        method = message.get("method")
        if isinstance(method, str) and (method.startswith(OWN_METHODS) or method == _COMMAND):
            if "id" in message:
                return JsonRPCRequestMessage(message["id"], method, "2.0", message.get("params"))
            if method.startswith(OWN_METHODS):
                return JsonRPCNotification(method, "2.0", message.get("params"))
        return self.structure_message({**message, "jsonrpc": "2.0"})

    def send_request(
        self,
        method: str,
        params: Any | None = None,
        callback: Callable[[Any], None] | None = None,
        msg_id: str | int | None = None,
    ) -> Future[Any]:
        """Send a request. Of those that the client leaves unanswered only the newest are remembered."""
        own_id = str(msg_id or uuid.uuid4())
        self._asked[own_id] = None
        if len(self._asked) > _ANSWERS_AWAITED:
            oldest = next(iter(self._asked))
            del self._asked[oldest]
            self._request_futures.pop(oldest, None)
            self._result_types.pop(oldest, None)
        answer = super().send_request(method, params, callback, own_id)
        if method.startswith(OWN_METHODS):
            self._result_types[own_id] = PlainResponse
        return answer

    def _execute_handler(
        self,
        msg_id: Any,
        handler: Callable[..., Any],
        callback: Callable[[Any], Any],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Run a handler. pygls would keep what the steps of a generator gave, whole analyses, for ever."""

        def done(future: Any) -> None:
            if self._request_futures.get(msg_id) is future:
                del self._request_futures[msg_id]
            callback(future)

        super()._execute_handler(msg_id, handler, done, args, kwargs)

    def _handle_cancel_notification(self, msg_id: Any) -> None:
        """Cancel a request of the client's; pygls would cancel ours, too, and fail over what is no id."""
        if isinstance(msg_id, int | str) and msg_id not in self._asked:
            super()._handle_cancel_notification(msg_id)

    def _is_answer(self, message_id: object) -> bool:
        """Whether a response is to a request of ours that is open. pygls would take one with the id of a request of the
        client's for the answer to that."""
        if not isinstance(message_id, str) or message_id not in self._asked:
            return False
        del self._asked[message_id]
        return True

    def _initialize_params(self, agreed: Handshake) -> types.InitializeParams:
        try:
            return self._converter.structure(agreed.params, types.InitializeParams)
        except Exception as error:
            logger.warning("some client capabilities cannot be read: %s", type(error).__name__)
            encodings = [types.PositionEncodingKind(agreed.encoding)]
            general = types.GeneralClientCapabilities(position_encodings=encodings)
            return types.InitializeParams(capabilities=types.ClientCapabilities(general=general))

    def _send_data(self, data: Any) -> None:
        """Send one message. pygls would log its text, which holds pieces of the user's documents."""
        if self.writer is None:
            return
        body = json.dumps(data, default=self._serialize_message).encode("ascii")
        self.writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))


class _OpenRequests(dict[Any, Any]):
    """The futures of open requests. On `shutdown` pygls cancels them while it goes through them, and fails over the
    first that is gone as soon as it is cancelled: it goes through a copy instead."""

    def items(self) -> Any:
        """As they are now."""
        return list(super().items())


def _cancellations(messages: Sequence[dict[str, Any]]) -> dict[Any, int]:
    """Where among messages requests are taken back for the last time, by their ids."""
    places: dict[Any, int] = {}
    for place, message in enumerate(messages):
        params = message.get("params")
        asked = params.get("id") if message.get("method") == types.CANCEL_REQUEST and isinstance(params, dict) else None
        if isinstance(asked, int | str) and not isinstance(asked, bool):
            places[asked] = place
    return places


def _is_notification(method: object) -> bool:
    """Whether the protocol knows the method, and that it is never answered."""
    known = types.METHOD_TO_TYPES.get(method) if isinstance(method, str) else None
    return known is not None and known[1] is None


def _malformed(message: dict[str, Any]) -> str | None:
    """What keeps a message from being a request, a notification or a response, none of which can then be answered."""
    method, message_id = message.get("method"), message.get("id")
    if "method" in message and not isinstance(method, str):
        return "the method of a message is a string"
    is_request = "method" in message and "id" in message
    if is_request and (isinstance(message_id, bool) or not isinstance(message_id, int | str)):
        return "the id of a request is a whole number or a string"
    return None
