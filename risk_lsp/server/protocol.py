"""pygls's protocol with what it leaves out: one answer to every request, no popups, no copies of documents.

`receive` takes message bodies and is the only way in; it never raises.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from lsprotocol import types
from pygls.protocol import JsonRPCRequestMessage, LanguageServerProtocol

from risk_lsp.server.barrier import log_failure
from risk_lsp.server.handshake import INVALID_PARAMS, INVALID_REQUEST, Handshake, error_response, parse_message

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
    types.EXIT,
)
OWN_METHODS = "riskLsp/"
_COMMAND = types.WORKSPACE_EXECUTE_COMMAND  # with arguments of our own


class RiskProtocol(LanguageServerProtocol):
    """The protocol after the handshake."""

    def __init__(self, server: Any, converter: Any) -> None:
        super().__init__(server, converter)
        for method in _NOT_BUILT_IN:
            self.fm.builtin_features.pop(method, None)

    def adopt(self, agreed: Handshake) -> None:
        """Take over what was agreed before this class was imported, the position encoding above all."""
        for _ in self.lsp_initialize(self._initialize_params(agreed)):
            raise AssertionError("initialize has no handler of our own")
        self.server_capabilities = self._converter.structure(agreed.capabilities, types.ServerCapabilities)

    def receive(self, body: bytes) -> None:
        """Handle one message body."""
        try:
            message, unreadable = parse_message(body)
            response = unreadable or self._dispatch(message)
            if response is not None:
                self._send_data(response)
        except Exception as error:
            log_failure("a message", error)

    def _dispatch(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Hand a message to its handler; the result is the error response to one that cannot be handled at all."""
        method, message_id = message.get("method"), message.get("id")
        is_request = method is not None and "id" in message
        if self._shutdown and method != types.EXIT:
            return error_response(message_id, INVALID_REQUEST, "the server is shutting down") if is_request else None
        if method == types.INITIALIZE:
            return error_response(message_id, INVALID_REQUEST, "the server has been initialized already")
        try:
            structured = self._structured(message)
        except Exception as error:
            logger.warning("cannot read the params of %s: %s", method or "a response", type(error).__name__)
            return error_response(message_id, INVALID_PARAMS, f"{method}: invalid params") if is_request else None
        self.handle_message(structured)
        return None

    def _structured(self, message: dict[str, Any]) -> Any:
        """The message as a typed object; our own requests keep their params as sent and check them themselves."""
        method = message.get("method")
        if "id" in message and isinstance(method, str) and (method.startswith(OWN_METHODS) or method == _COMMAND):
            return JsonRPCRequestMessage(message["id"], method, "2.0", message.get("params"))
        return self.structure_message({"jsonrpc": "2.0", **message})

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
