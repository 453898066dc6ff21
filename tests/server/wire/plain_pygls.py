"""A language server that is nothing but pygls, to show which of its gaps `risk_lsp.server` closes."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from typing import Any

from lsprotocol import types
from pygls.lsp.server import LanguageServer

server = LanguageServer("plain", "1")


@server.feature(types.TEXT_DOCUMENT_HOVER)
def hover(params: types.HoverParams) -> types.Hover | None:
    """The text of the document as pygls has it; an error for a document with FAIL."""
    source = server.workspace.get_text_document(params.text_document.uri).source
    if "FAIL" in source:
        raise KeyError(source)
    return types.Hover(source)


@server.feature("riskLsp/lines")
async def lines(params: Any) -> None:
    """A request whose answer takes for ever; of a document with ASK the client is asked something first."""
    if "ASK" in server.workspace.get_text_document(params.uri).source:
        await server.work_done_progress.create_async("token")
    await asyncio.Event().wait()


@server.feature(types.TEXT_DOCUMENT_DID_OPEN)
def did_open(params: types.DidOpenTextDocumentParams) -> None:
    """Mark the lines with BUG."""
    publish(params.text_document.uri)


@server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
def did_change(params: types.DidChangeTextDocumentParams) -> None:
    """Mark the lines with BUG."""
    publish(params.text_document.uri)


def publish(uri: str) -> None:
    """Mark the lines with BUG, as the protocol counts lines, in the text that pygls has."""
    document = server.workspace.get_text_document(uri)
    marks = [
        types.Diagnostic(types.Range(types.Position(number, 0), types.Position(number, len(line))), "BUG")
        for number, line in enumerate(re.split("\r\n|\n|\r", document.source))
        if "BUG" in line
    ]
    server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, marks, document.version))


@server.feature(types.TEXT_DOCUMENT_DID_SAVE)
@server.thread()
def did_save(_: types.DidSaveTextDocumentParams) -> None:
    """Work in a thread that does not end."""
    threading.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    server.start_io()
