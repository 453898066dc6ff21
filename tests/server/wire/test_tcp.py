"""The server over TCP."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import Any

import pytest

from risk_lsp.server.app import ServerOptions, run_tcp
from risk_lsp.server.wire.connection import MessageBuffer, frame
from tests.server.lsp_client import PATIENCE

_SERVE = "from risk_lsp.server.app import *; import sys; sys.exit(run_tcp('127.0.0.1', 0, ServerOptions()))"


def test_a_client_over_tcp_is_served_until_it_leaves() -> None:
    with subprocess.Popen([sys.executable, "-c", _SERVE], stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        port = int(server.stderr.readline().rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
            buffer = MessageBuffer()
            client.sendall(frame({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}}}))
            assert answer(client, buffer)["result"]["capabilities"]["hoverProvider"] is True
            client.sendall(frame({"jsonrpc": "2.0", "id": 2, "method": "shutdown"}))
            while (message := answer(client, buffer)).get("id") != 2:
                pass
            assert message["result"] is None
            client.sendall(frame({"jsonrpc": "2.0", "method": "exit"}))
        assert server.wait(PATIENCE) == 0


def test_a_port_that_is_taken_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run_tcp("127.0.0.1", port, ServerOptions()) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


def answer(client: socket.socket, buffer: MessageBuffer) -> dict[str, Any]:
    """The next message."""
    while (body := buffer.take()) is None:
        chunk = client.recv(65_536)
        assert chunk, "the server hung up"
        buffer.feed(chunk)
    message = json.loads(body)
    assert isinstance(message, dict)
    return message
