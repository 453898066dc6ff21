"""pygls's protocol, mended: every request has one answer, nothing pops up, and no documents are copied.

`receive` takes message bodies and is the only way in; it never raises. The server uses some names of pygls that begin
with an underscore and may change; this is the only module that does.
"""

from __future__ import annotations

import functools
import inspect
import logging
import uuid
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInternalError
from pygls.protocol import JsonRPCNotification, JsonRPCRequestMessage, LanguageServerProtocol, lsp_method
from pygls.protocol.json_rpc import JsonRPCResponseMessage

from risk_lsp.errors import RiskError, log_failure
from risk_lsp.server.wire.connection import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    REQUEST_CANCELLED,
    REQUEST_FAILED,
    error_response,
    frame,
    parse_message,
)
from risk_lsp.server.wire.handshake import Handshake

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
# What is used of pygls though it begins with an underscore: a newer pygls may move it, and a test then names it.
PRIVATE_NAMES = (
    "_execute_handler",
    "_handle_cancel_notification",
    "_request_futures",
    "_result_types",
    "_run_generator",
)
_OWN_METHODS = "riskLsp/"
_COMMAND = types.WORKSPACE_EXECUTE_COMMAND  # with arguments of our own
_ANSWERS_AWAITED = 100  # of our own requests; a client that answers none must not cost memory without end


class PlainResponse(JsonRPCResponseMessage):
    """The response to one of our own `riskLsp/` requests; its result stays as it was sent."""


class RiskProtocol(LanguageServerProtocol):
    """The protocol after the handshake."""

    def __init__(self, server: Any, converter: Any) -> None:
        super().__init__(server, converter)
        for method in _NOT_BUILT_IN:
            self.fm.builtin_features.pop(method, None)
        converter.register_structure_hook(PlainResponse, lambda message, _: PlainResponse(**message))
        self._types = converter
        self._is_shut_down = False
        self._asked: dict[str, None] = {}  # the ids of our own requests, the oldest first

    def adopt(self, agreed: Handshake) -> None:
        """Take over what was agreed before this class was imported, the position encoding above all."""
        try:
            params = self._types.structure(agreed.params, types.InitializeParams)
        except Exception as error:
            logger.warning("some client capabilities cannot be read: %s", type(error).__name__)
            encodings = [types.PositionEncodingKind(agreed.encoding)]
            general = types.GeneralClientCapabilities(position_encodings=encodings)
            params = types.InitializeParams(capabilities=types.ClientCapabilities(general=general))
        for _ in self.lsp_initialize(params):
            raise AssertionError("initialize has no handler of our own")
        self.server_capabilities = self._types.structure(agreed.capabilities, types.ServerCapabilities)

    # What comes in

    def receive(self, bodies: Sequence[bytes]) -> None:
        """Handle message bodies that arrived together.

        A request that a later one of them cancels is not begun; pygls would run it first.
        """
        parsed = [parse_message(body) for body in bodies]
        cancelled = _cancellations([message for message, _ in parsed])
        for place, (message, unreadable) in enumerate(parsed):
            try:
                if unreadable is not None:
                    logger.warning("a message was refused: %s", unreadable["error"]["message"])
                response = unreadable or self._dispatch(message, place, cancelled)
                if response is not None and self.writer is not None:
                    self.writer.write(frame(response))
            except Exception as error:
                log_failure("a message", error)

    def _dispatch(self, message: dict[str, Any], place: int, cancelled: dict[Any, int]) -> dict[str, Any] | None:
        """Hand a message to its handler; returns the error response to a request that has none."""
        method, message_id = message.get("method"), message.get("id")
        if (reason := _defect_of(message)) is not None:
            return error_response(None, INVALID_REQUEST, reason)
        is_request = method is not None and "id" in message
        if method is None and not self._is_answer(message_id):
            logger.warning("a response to nothing that was asked was ignored")
            return None
        if self._is_shut_down and method != types.EXIT:
            return error_response(message_id, INVALID_REQUEST, "the server is shutting down") if is_request else None
        if method == types.INITIALIZE:
            return error_response(message_id, INVALID_REQUEST, "the server has been initialized already")
        known = types.METHOD_TO_TYPES.get(method) if isinstance(method, str) else None
        if is_request and known is not None and known[1] is None:  # the protocol never answers it
            return error_response(message_id, METHOD_NOT_FOUND, f"{method} is a notification")
        if is_request and cancelled.get(message_id, place) > place and method != types.SHUTDOWN:
            return error_response(message_id, REQUEST_CANCELLED, f"{method} was cancelled")
        try:
            structured = self.structure_message(message)
        except Exception as error:
            logger.warning("cannot read the params of %s: %s", method or "a response", type(error).__name__)
            if method is None and (future := self._request_futures.pop(str(message_id), None)) is not None:
                future.set_exception(error)  # for whoever waits for the answer
            return error_response(message_id, INVALID_PARAMS, f"{method}: invalid params") if is_request else None
        self.handle_message(structured)
        return None

    def structure_message(self, data: dict[str, Any]) -> Any:
        """The message as a typed object; our own methods keep their params as sent and check them themselves."""
        method = data.get("method")
        is_own = isinstance(method, str) and method.startswith(_OWN_METHODS)
        if "id" in data and (is_own or method == _COMMAND):
            return JsonRPCRequestMessage(data["id"], str(method), self.VERSION, data.get("params"))
        if is_own:
            return JsonRPCNotification(str(method), self.VERSION, data.get("params"))
        return super().structure_message({**data, "jsonrpc": self.VERSION})

    def _is_answer(self, message_id: object) -> bool:
        """Whether a response answers a request of ours that is open.

        pygls would also take a response with the id of one of the client's requests, and answer that with it.
        """
        if not isinstance(message_id, str) or message_id not in self._asked:
            return False
        del self._asked[message_id]
        return True

    # Handlers

    def when_cancelled(self, call: Callable[[], object]) -> None:
        """Call something if the client cancels the request that is being handled; pygls only drops its answer."""
        future = self._request_futures.get(self.msg_id) if self.msg_id is not None else None
        if future is not None:
            future.add_done_callback(lambda done: call() if done.cancelled() else None)

    @lsp_method(types.SHUTDOWN)
    def lsp_shutdown(self, *args: Any) -> Generator[Any, Any, None]:
        """Run the handler and cancel the other requests; pygls fails over the first one that goes when cancelled."""
        yield self.fm.features[types.SHUTDOWN], args, None
        others = [future for message_id, future in self._request_futures.items() if message_id != self.msg_id]
        for future in others:
            future.cancel()
        self._is_shut_down = True

    def _run_generator(
        self, future: Future[Any] | None, *, gen: Generator[Any, Any, Any], result_future: Future[Any]
    ) -> None:
        """Go on with a handler. Errors are dropped once its request was cancelled."""
        if future is not None and result_future.cancelled() and not future.cancelled():
            future.exception()
        super()._run_generator(future, gen=gen, result_future=result_future)

    def _execute_handler(
        self,
        msg_id: Any,
        handler: Callable[..., Any],
        callback: Callable[[Any], Any],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Run a handler. pygls would keep the results of a generator's steps, which are whole analyses, for ever."""

        def finish(future: Any) -> None:
            if self._request_futures.get(msg_id) is future:
                del self._request_futures[msg_id]
            callback(future)

        super()._execute_handler(msg_id, handler, finish, args, kwargs)

    def _handle_cancel_notification(self, msg_id: Any) -> None:
        """Cancel a request of the client's. pygls would cancel ours, too, and fail over an id that is none."""
        if isinstance(msg_id, int | str) and msg_id not in self._asked:
            super()._handle_cancel_notification(msg_id)

    # What goes out

    @functools.lru_cache  # noqa: B019 - as pygls has it: there is one protocol
    def get_result_type(self, method: str) -> Any:
        """The type of the response to a request of ours."""
        return PlainResponse if method.startswith(_OWN_METHODS) else super().get_result_type(method)

    def send_request(
        self,
        method: str,
        params: Any | None = None,
        callback: Callable[[Any], None] | None = None,
        msg_id: str | int | None = None,
    ) -> Future[Any]:
        """Send a request. If the client leaves many unanswered, the oldest are forgotten."""
        own_id = str(msg_id or uuid.uuid4())
        self._asked[own_id] = None
        if len(self._asked) > _ANSWERS_AWAITED:
            oldest = next(iter(self._asked))
            del self._asked[oldest]
            self._request_futures.pop(oldest, None)
            self._result_types.pop(oldest, None)
        return super().send_request(method, params, callback, own_id)


def _cancellations(messages: Sequence[dict[str, Any]]) -> dict[Any, int]:
    """For each request that messages cancel, by its id, the index of the last message that does."""
    places: dict[Any, int] = {}
    for place, message in enumerate(messages):
        params = message.get("params")
        asked = params.get("id") if message.get("method") == types.CANCEL_REQUEST and isinstance(params, dict) else None
        if isinstance(asked, int | str) and not isinstance(asked, bool):
            places[asked] = place
    return places


def _defect_of(message: dict[str, Any]) -> str | None:
    """Why a message is no request, notification or response, if it is none; it then has no id to answer to."""
    method, message_id = message.get("method"), message.get("id")
    if "method" in message and not isinstance(method, str):
        return "the method of a message is a string"
    is_request = "method" in message and "id" in message
    if is_request and (isinstance(message_id, bool) or not isinstance(message_id, int | str)):
        return "the id of a request is a whole number or a string"
    return None


def barrier(name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler with its exceptions turned into JSON-RPC errors.

    A handler may be a function, a coroutine function, or a generator function in pygls's sense: it runs at once up to
    its `yield handler, args, kwargs`, and goes on with that handler's result.

    Errors meant for people keep their message. For any other, the response names the handler, and the log the place.
    """
    if inspect.iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def guard_async(*args: Any) -> Any:
            try:
                return await handler(*args)
            except Exception as error:
                raise _as_response(name, error) from None

        return guard_async

    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def guard_generator(*args: Any) -> Any:
            try:
                return (yield from handler(*args))
            except Exception as error:
                raise _as_response(name, error) from None

        return guard_generator

    @functools.wraps(handler)
    def guard(*args: Any) -> Any:
        try:
            return handler(*args)
        except Exception as error:
            raise _as_response(name, error) from None

    return guard


def _as_response(name: str, error: Exception) -> JsonRpcException:
    if isinstance(error, JsonRpcException):
        return error
    if isinstance(error, RiskError):
        return JsonRpcException(str(error), REQUEST_FAILED)
    log_failure(name, error)
    return JsonRpcInternalError(f"{name}: internal error ({type(error).__name__}); the server's log says where")
