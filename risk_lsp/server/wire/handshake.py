"""The answer to `initialize`, given before anything heavy is imported.

Importing the protocol library takes longer than an editor likes to wait for an answer, so the first messages are
handled on plain JSON; the library is imported afterwards and told what was agreed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from risk_lsp import __version__
from risk_lsp.server.command_table import COMMANDS
from risk_lsp.server.wire.connection import Connection, MessageBuffer, frame

SERVER_NAME = "risk-lsp"

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
REQUEST_CANCELLED = -32800
SERVER_NOT_INITIALIZED = -32002

_POSITION_ENCODINGS = ("utf-8", "utf-16", "utf-32")
_INCREMENTAL = 2
_PYTHON_CELLS = {"notebook": "*", "cells": [{"language": "python"}]}


@dataclass(frozen=True)
class Handshake:
    """What was agreed: the client's `initialize` params as sent, and the position encoding chosen."""

    params: dict[str, Any]
    encoding: str
    capabilities: dict[str, Any]


def shake_hands(connection: Connection, buffer: MessageBuffer) -> Handshake | None:
    """Answer messages until `initialize` is among them; None if the client left before.

    Bytes that came after `initialize` stay in `buffer`. Raises FramingError when the stream is not the base protocol.
    """
    while True:
        while (body := buffer.take()) is not None:
            message, unreadable = parse_message(body)
            if unreadable is not None:
                connection.write(frame(unreadable))
                continue
            if message.get("method") == "exit":
                return None
            if (params := _initialize_params(message)) is not None:
                agreed = _agree(params)
                result = {
                    "capabilities": agreed.capabilities,
                    "serverInfo": {"name": SERVER_NAME, "version": __version__},
                }
                connection.write(frame({"jsonrpc": "2.0", "id": message["id"], "result": result}))
                return agreed
            if (refusal := _refusal(message)) is not None:
                connection.write(frame(refusal))
        chunk = connection.read()
        if not chunk:
            return None
        buffer.feed(chunk)


def parse_message(body: bytes) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The message in a body, and the error response to send instead when there is none."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        return {}, error_response(None, PARSE_ERROR, f"the message is not JSON: {error}")
    if not isinstance(message, dict):
        return {}, error_response(None, INVALID_REQUEST, "a message is a JSON object; batches are not supported")
    return message, None


def error_response(message_id: object, code: int, text: str) -> dict[str, Any]:
    """A JSON-RPC error response."""
    return {"jsonrpc": "2.0", "id": message_id, "error": {"code": code, "message": text}}


def choose_encoding(client_capabilities: dict[str, Any]) -> str:
    """The first of the client's position encodings that we know; utf-16 where the client names none."""
    general = client_capabilities.get("general")
    offered = general.get("positionEncodings") if isinstance(general, dict) else None
    known = [name for name in offered if name in _POSITION_ENCODINGS] if isinstance(offered, list) else []
    return known[0] if known else "utf-16"


def pulls_diagnostics(client_capabilities: dict[str, Any]) -> bool:
    """Whether the client asks for diagnostics, and asks again when told that they changed. No other may pull."""
    text_document, workspace = client_capabilities.get("textDocument"), client_capabilities.get("workspace")
    can_pull = isinstance(text_document, dict) and isinstance(text_document.get("diagnostic"), dict)
    diagnostics = workspace.get("diagnostics") if isinstance(workspace, dict) else None
    return can_pull and isinstance(diagnostics, dict) and diagnostics.get("refreshSupport") is True


def server_capabilities(encoding: str, pull: bool) -> dict[str, Any]:
    """What the server can do, as sent to the client."""
    provider = {"identifier": SERVER_NAME, "interFileDependencies": False, "workspaceDiagnostics": False}
    return {
        **({"diagnosticProvider": provider} if pull else {}),
        "positionEncoding": encoding,
        "textDocumentSync": {"openClose": True, "change": _INCREMENTAL},
        "notebookDocumentSync": {
            "notebookSelector": [_PYTHON_CELLS],
            "save": True,
        },
        "hoverProvider": True,
        "codeActionProvider": {"codeActionKinds": ["quickfix", "refactor.rewrite"]},
        "inlayHintProvider": True,
        "codeLensProvider": {},
        "executeCommandProvider": {"commands": [command.name for command in COMMANDS], "workDoneProgress": True},
        "workspace": {"workspaceFolders": {"supported": True, "changeNotifications": True}},
        "experimental": {
            "riskLsp": {"requests": ["riskLsp/query", "riskLsp/lines"], "notifications": ["riskLsp/userSettings"]}
        },
    }


def _agree(params: dict[str, Any]) -> Handshake:
    client = params.get("capabilities")
    known = client if isinstance(client, dict) else {}
    encoding = choose_encoding(known)
    return Handshake(params, encoding, server_capabilities(encoding, pulls_diagnostics(known)))


def _initialize_params(message: dict[str, Any]) -> dict[str, Any] | None:
    is_request = message.get("method") == "initialize" and "id" in message
    params = message.get("params") if is_request else None
    return params if isinstance(params, dict) else None


def _refusal(message: dict[str, Any]) -> dict[str, Any] | None:
    """The answer to anything that came before a usable `initialize`; notifications and responses get none."""
    if "id" not in message or "method" not in message:
        return None
    if message.get("method") == "initialize":
        return error_response(message["id"], INVALID_PARAMS, "initialize: params must be an object")
    return error_response(message["id"], SERVER_NOT_INITIALIZED, "the server has not been initialized yet")
