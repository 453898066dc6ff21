"""Clients that do not answer, or do not even read."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.conftest import Start, memory_of
from tests.server.lsp_client import PATIENCE, LspClient, server_command

ROOT = Path(__file__).parents[2]
URI = "file:///project/program.py"
TOP = {"line": 0, "character": 0}


class MuteClient(LspClient):
    """Answers no request of the server's."""

    def answer(self, request: dict[str, Any]) -> None:
        """Does nothing."""


async def test_a_client_that_never_answers_is_served_all_the_same(
    start: Start, long: bool, figure: Callable[[str], None]
) -> None:
    edits = 5_000 if long else 150
    client = await start(MuteClient)
    await client.initialize("vscode-1.139", pull=True, initializationOptions={"debounce": 0.0})
    client.open(URI, "x = 1  # BUG\n")
    for version in range(2, 2 + edits):
        client.replace(URI, version, f"x = {version}  # BUG\n")
        await client.request("riskLsp/lines", {"uri": URI})
        if version in (100, 1 + edits):
            report = await client.request("textDocument/diagnostic", {"textDocument": {"uri": URI}})
            assert len(report["items"]) == 1
            memory = memory_of(client.process.pid)
    asked = len([message for message in client.received if "method" in message and "id" in message])
    assert asked > 100
    figure(f"{edits} edits, {asked} requests of the server's unanswered, {memory:.0f} MB")
    assert await client.shut_down() == 0


def test_a_client_that_does_not_read_cannot_keep_the_server_from_ending(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    messages: list[dict[str, Any]] = [{"id": 0, "method": "initialize", "params": {"capabilities": {}}}]
    messages += [{"id": number, "method": "riskLsp/unheardOf" + "x" * 1000} for number in range(1, 2000)]
    command = [*server_command(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdin is not None
        for message in messages:
            body = json.dumps({"jsonrpc": "2.0", **message}).encode()
            process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        process.stdin.close()
        try:
            assert process.wait(PATIENCE) == 1
        finally:
            process.kill()
    figure("2 MB unread, the server ends with its standard input")


async def test_answers_that_were_given_are_not_kept(start: Start, long: bool, figure: Callable[[str], None]) -> None:
    requests = 2_000 if long else 80
    client = await start()
    await client.initialize("emacs30-eglot", initializationOptions={"debounce": 0.0})
    client.open(URI, "x = 1\n" * 1_000)
    for version in range(2, 20 + requests):
        if version == 20:
            before = memory_of(client.process.pid)
        client.change(URI, version, {"range": {"start": TOP, "end": TOP}, "text": "y"})
        await client.request("riskLsp/lines", {"uri": URI})
    growth = memory_of(client.process.pid) - before
    figure(f"{requests} requests about a program of 1,000 lines: {growth:+.1f} MB")
    assert growth < 10, "kept analyses would be a third of a megabyte each"
