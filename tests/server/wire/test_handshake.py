"""The answer to `initialize` comes before anything heavy is imported."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from lsprotocol.converters import get_converter
from pygls.capabilities import ServerCapabilitiesBuilder

from risk_lsp.server.wire.handshake import choose_encoding, pulls_diagnostics, server_capabilities
from tests.server.lsp_client import LspClient, server_command

# Of the machine at its least busy; an idle one answers in a third of this.
HANDSHAKE_SECONDS = 0.3


async def test_initialize_is_answered_within_the_promised_time(tmp_path: Path) -> None:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        client = await LspClient.start(server_command(tmp_path))
        await client.request("initialize", {"processId": None, "capabilities": {}})
        # On a machine with other work to do, what the server itself had to do says how soon it would have answered.
        times.append(min(time.perf_counter() - start, cpu_seconds(client.process.pid)))
        await client.kill()
    assert min(times) < HANDSHAKE_SECONDS


def cpu_seconds(process_id: int) -> float:
    """What a process has used of the processor."""
    fields = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_nothing_heavy_is_imported_before_the_answer() -> None:
    heavy = "lsprotocol", "pygls", "numpy", "tree_sitter", "torch"
    code = f"import risk_lsp.server.app, sys; sys.exit(repr(set({heavy}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"


@pytest.mark.parametrize(
    "offered", [None, [], ["utf-16"], ["utf-8", "utf-16"], ["utf-32", "utf-8"], ["utf-7", "utf-8"], ["utf-7"]]
)
def test_the_encoding_is_the_one_that_pygls_would_choose(offered: list[str] | None) -> None:
    said: dict[str, Any] = {"general": {"positionEncodings": offered}} if offered is not None else {}
    structured = get_converter().structure(said, types.ClientCapabilities)
    assert choose_encoding(said) == ServerCapabilitiesBuilder.choose_position_encoding(structured)


def test_what_is_announced_is_of_the_protocol() -> None:
    capabilities = get_converter().structure(server_capabilities("utf-8", pull=True), types.ServerCapabilities)
    assert capabilities.position_encoding == types.PositionEncodingKind.Utf8
    sync = capabilities.text_document_sync
    assert isinstance(sync, types.TextDocumentSyncOptions)
    assert (sync.open_close, sync.change) == (True, types.TextDocumentSyncKind.Incremental)
    assert capabilities.hover_provider is True


def test_a_client_that_cannot_be_told_to_ask_again_is_not_to_ask_for_diagnostics() -> None:
    asking: dict[str, Any] = {"textDocument": {"diagnostic": {}}}
    assert not pulls_diagnostics({**asking, "workspace": {"diagnostics": {}}})
    assert pulls_diagnostics({**asking, "workspace": {"diagnostics": {"refreshSupport": True}}})
