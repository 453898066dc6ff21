"""A language server that is nothing but pygls, to show which of its gaps `risk_lsp.server` closes."""

from __future__ import annotations

import asyncio
import threading

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
async def lines(_: object) -> None:
    """A request whose answer takes for ever."""
    await asyncio.Event().wait()


@server.feature(types.TEXT_DOCUMENT_DID_SAVE)
@server.thread()
def did_save(_: types.DidSaveTextDocumentParams) -> None:
    """Work in a thread that does not end."""
    threading.Event().wait()


if __name__ == "__main__":
    server.start_io()
