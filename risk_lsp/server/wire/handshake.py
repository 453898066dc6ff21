"""The answer to `initialize`, given before anything heavy is imported.

Importing the protocol library takes longer than an editor likes to wait for an answer, so the first messages are
handled on plain JSON; the library is imported afterwards and told what was agreed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from risk_lsp import __version__
from risk_lsp.server.command_table import COMMANDS
from risk_lsp.server.wire.connection import (
    INVALID_PARAMS,
    SERVER_NOT_INITIALIZED,
    Connection,
    MessageBuffer,
    error_response,
    frame,
    parse_message,
)
from risk_lsp.settings import SECTION

SERVER_NAME = "risk-lsp"

_POSITION_ENCODINGS = ("utf-8", "utf-16", "utf-32")
_INCREMENTAL = 2
_PYTHON_CELLS = {"notebook": "*", "cells": [{"language": "python"}]}


_TEXT_DOCUMENT = ("capabilities", "textDocument")
# What a client can do for repairs: ask for a hint, ask its own model, keep a secret, show an explanation itself.
_OFFERS = ("hint", "chat", "secret", "explanation")


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
        "textDocumentSync": {"openClose": True, "change": _INCREMENTAL, "save": True},
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
