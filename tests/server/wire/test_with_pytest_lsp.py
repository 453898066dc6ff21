"""The life of a document as pytest-lsp sees it, which checks every message against the client's capabilities."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from lsprotocol import types
from lsprotocol.converters import get_converter
from pytest_lsp import ClientServerConfig, LanguageClient

from tests.server.lsp_client import CAPABILITIES, server_command

URI = "file:///project/program.py"
ROOT = Path(__file__).parents[3]

# What each client's dump leads to: the position encoding, and the kind of text in a hover.
DUMPS = {
    "vscode-1.139": ("utf-16", "markdown"),
    "nvim-0.12": ("utf-8", "markdown"),
    "nvim-0.10": ("utf-16", "markdown"),
    "nvim-0.7": ("utf-16", "markdown"),
    "emacs30-eglot": ("utf-32", "plaintext"),
    "emacs28-eglot": ("utf-16", "plaintext"),
    "helix-25": ("utf-8", "markdown"),
    "vim9-ale": ("utf-16", "plaintext"),
}

PULLING = {"vscode-1.139", "nvim-0.12"}  # those that ask for diagnostics, and again when told to


@pytest_asyncio.fixture
async def language_client(tmp_path: Path) -> AsyncIterator[LanguageClient]:
    """pytest-lsp's client, connected to a server with the scripted worker."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    client = await ClientServerConfig(server_command(tmp_path), server_env=environment).start()
    assert isinstance(client, LanguageClient)
    client.feature(types.CLIENT_REGISTER_CAPABILITY)(lambda params: None)
    yield client
    await client.stop()  # type: ignore[no-untyped-call]


def params_of(dump: str) -> types.InitializeParams:
    """What the named client sends first."""
    said = json.loads((CAPABILITIES / f"{dump}.json").read_text(encoding="utf-8"))
    options = {"initializationOptions": {"debounce": 0.0}}
    params = get_converter().structure({"processId": None, "rootUri": None, **said, **options}, types.InitializeParams)
    assert isinstance(params, types.InitializeParams)
    return params


async def diagnostics(client: LanguageClient, dump: str, version: int | None) -> list[types.Diagnostic]:
    """The next diagnostics, which have to be for this version; asked for where the client does that."""
    if dump in PULLING:
        params = types.DocumentDiagnosticParams(types.TextDocumentIdentifier(URI))
        report = await client.text_document_diagnostic_async(params)
        assert isinstance(report, types.RelatedFullDocumentDiagnosticReport)
        return list(report.items)
    published = await client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    assert published.version == version
    return list(published.diagnostics)


def test_every_dump_is_covered() -> None:
    assert {path.stem for path in CAPABILITIES.glob("*.json")} == set(DUMPS)


@pytest.mark.parametrize("dump", DUMPS)
async def test_open_diagnostics_hover_edit_diagnostics_close(language_client: LanguageClient, dump: str) -> None:
    client = language_client
    encoding, hover_kind = DUMPS[dump]
    agreed = await client.initialize_session(params_of(dump))
    assert (agreed.capabilities.diagnostic_provider is not None) == (dump in PULLING)
    assert agreed.capabilities.position_encoding == encoding

    client.text_document_did_open(
        types.DidOpenTextDocumentParams(types.TextDocumentItem(URI, "python", 1, "x = 1\ny = 2  # BUG\n"))
    )
    (diagnostic,) = await diagnostics(client, dump, 1)
    assert (diagnostic.message, diagnostic.range.start.line) == ("63% likely to need an edit", 1)
    assert diagnostic.severity is types.DiagnosticSeverity.Hint

    document = types.TextDocumentIdentifier(URI)
    hover = await client.text_document_hover_async(types.HoverParams(document, types.Position(1, 0)))
    assert hover is not None and isinstance(hover.contents, types.MarkupContent)
    assert hover.contents.kind == hover_kind
    assert "59% were edited, n = 612" in hover.contents.value

    edit = types.TextDocumentContentChangePartial(types.Range(types.Position(1, 0), types.Position(2, 0)), "")
    client.text_document_did_change(
        types.DidChangeTextDocumentParams(types.VersionedTextDocumentIdentifier(2, URI), [edit])
    )
    assert await diagnostics(client, dump, 2) == []

    client.text_document_did_close(types.DidCloseTextDocumentParams(document))
    assert await diagnostics(client, dump, None) == []
    await client.shutdown_session()
    assert client.error is None
