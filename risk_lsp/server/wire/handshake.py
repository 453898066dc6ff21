"""The answer to `initialize`, before anything heavy is imported, and what it tells of the client.

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
_REFRESHED = ("inlayHint", "codeLens", "diagnostics")  # below `workspace`, what a client can take anew
# What a client can do: ask for a hint or for consent, ask its own model, keep a secret, show an explanation itself.
_OFFERS = ("hint", "consent", "chat", "secret", "explanation", "preview")


@dataclass(frozen=True)
class Handshake:
    """What was agreed: the client's `initialize` params as sent, the position encoding, the server's capabilities."""

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
            method, params = message.get("method"), message.get("params")
            if method == "exit":
                return None
            if "method" not in message or "id" not in message:  # notifications and responses get no answer
                continue
            if method != "initialize":
                refusal = (SERVER_NOT_INITIALIZED, "the server has not been initialized yet")
                connection.write(frame(error_response(message["id"], *refusal)))
            elif not isinstance(params, dict):
                refusal = (INVALID_PARAMS, "initialize: params must be an object")
                connection.write(frame(error_response(message["id"], *refusal)))
            else:
                agreed = agree(params)
                info = {"name": SERVER_NAME, "version": __version__}
                result = {"capabilities": agreed.capabilities, "serverInfo": info}
                connection.write(frame({"jsonrpc": "2.0", "id": message["id"], "result": result}))
                return agreed
        chunk = connection.read()
        if not chunk:
            return None
        buffer.feed(chunk)


def agree(params: dict[str, Any]) -> Handshake:
    """What is agreed with a client that sends these `initialize` params."""
    client = params.get("capabilities")
    known = client if isinstance(client, dict) else {}
    encoding = choose_encoding(known)
    return Handshake(params, encoding, server_capabilities(encoding, pulls_diagnostics(known)))


def choose_encoding(client_capabilities: dict[str, Any]) -> str:
    """The first of the client's position encodings that we know; utf-16 where the client names none."""
    general = client_capabilities.get("general")
    offered = general.get("positionEncodings") if isinstance(general, dict) else None
    known = [name for name in offered if name in _POSITION_ENCODINGS] if isinstance(offered, list) else []
    return known[0] if known else "utf-16"


def pulls_diagnostics(client_capabilities: dict[str, Any]) -> bool:
    """Whether the client asks for diagnostics itself, and again when it hears that they changed."""
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
        "inlineCompletionProvider": {},
        "executeCommandProvider": {"commands": [command.name for command in COMMANDS], "workDoneProgress": True},
        "workspace": {"workspaceFolders": {"supported": True, "changeNotifications": True}},
        "experimental": {
            "riskLsp": {
                "requests": ["riskLsp/query", "riskLsp/lines", "riskLsp/written"],
                "notifications": ["riskLsp/userSettings"],
            }
        },
    }


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
    registers_file_changes: bool
    code_action_literals: bool
    document_changes: bool
    apply_edit: bool
    refreshes: frozenset[str]  # what it takes anew when the server says so
    wants_status: bool
    wants_analysed: bool
    annotates_edits: bool
    offers: frozenset[str]

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Client:
        """Read the params of `initialize`; what is missing counts as not supported."""

        def says(*path: str) -> bool:
            return _at(params, "capabilities", *path) is True

        process_id = params.get("processId")
        # In order of preference; a client that names none is taken to show plain text.
        formats = _at(params, "capabilities", "textDocument", "hover", "contentFormat")
        known = [name for name in formats if name in ("markdown", "plaintext")] if isinstance(formats, list) else []
        literals = _at(params, "capabilities", "textDocument", "codeAction", "codeActionLiteralSupport")
        annotations = _at(params, "capabilities", "workspace", "workspaceEdit", "changeAnnotationSupport")
        document_changes = says("workspace", "workspaceEdit", "documentChanges")
        return cls(
            process_id=process_id if type(process_id) is int else None,
            initialization_options=params.get("initializationOptions"),
            markdown_hover=known[:1] == ["markdown"],
            work_done_progress=says("window", "workDoneProgress"),
            configuration=says("workspace", "configuration"),
            registers_configuration_changes=says("workspace", "didChangeConfiguration", "dynamicRegistration"),
            registers_file_changes=says("workspace", "didChangeWatchedFiles", "dynamicRegistration"),
            code_action_literals=literals is not None,
            document_changes=document_changes,
            apply_edit=says("workspace", "applyEdit"),
            refreshes=frozenset(name for name in _REFRESHED if says("workspace", name, "refreshSupport")),
            wants_status=says("experimental", SECTION, "status"),
            wants_analysed=says("experimental", SECTION, "analysed"),
            # Annotated edits have a place among versioned ones only.
            annotates_edits=isinstance(annotations, Mapping) and document_changes,
            offers=frozenset(name for name in _OFFERS if says("experimental", SECTION, name)),
        )


def _at(value: object, *path: str) -> object:
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value
