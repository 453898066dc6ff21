"""The server ends when its client does, and takes its worker along."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from risk_lsp.server.app import is_alive, watch_parent
from tests.server.documents.test_model_lifecycle import worker_pid
from tests.server.lsp_client import PATIENCE, LspClient

URI = "file:///project/program.py"


async def busy(client: LspClient, folder: Path, text: str = "x = 1\n") -> int:
    """A client with a loaded worker; returns the worker's process id."""
    await client.initialize()
    client.open("file:///project/first.py", "x = 1\n")
    await client.diagnostics("file:///project/first.py", 1)
    client.open(URI, text)
    return worker_pid(folder)


async def gone(process_id: int) -> bool:
    """Whether the process ends in time; its end cannot be awaited, because it is nobody's child here."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while is_alive(process_id) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.02)
    return not is_alive(process_id)


async def test_shutdown_clears_diagnostics_and_exit_ends_with_status_0(client: LspClient, tmp_path: Path) -> None:
    worker = await busy(client, tmp_path, "BUG\n")
    assert len(await client.diagnostics(URI, 1)) == 1
    seen = len(client.received)
    await client.request("shutdown")
    assert await client.diagnostics(URI, 1, seen) == []
    client.notify("exit")
    assert await client.ended() == 0
    assert await gone(worker)


async def test_shutdown_is_granted_though_questions_are_open_and_each_is_answered(
    client: LspClient, tmp_path: Path
) -> None:
    await busy(client, tmp_path, "STALL\n")
    line = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 5}}
    explain = {"command": "riskLsp.explain", "arguments": [URI, line]}
    asked = [client.send_request("workspace/executeCommand", explain) for _ in range(3)]
    assert await client.request("shutdown") is None
    for message_id in asked:
        await client.message(lambda message, wanted=message_id: message.get("id") == wanted)  # type: ignore[misc]
    client.notify("exit")
    assert await client.ended() == 0


async def test_exit_without_shutdown_ends_with_status_1(client: LspClient, tmp_path: Path) -> None:
    worker = await busy(client, tmp_path)
    client.notify("exit")
    assert await client.ended() == 1
    assert await gone(worker)


@pytest.mark.parametrize("text", ["x = 1\n", "STALL\n"], ids=["idle", "in the middle of a run"])
async def test_the_end_of_stdin_ends_server_and_worker(client: LspClient, tmp_path: Path, text: str) -> None:
    worker = await busy(client, tmp_path, text)
    client.hang_up()
    assert await client.ended() == 1
    assert await gone(worker)


async def test_the_end_of_stdin_before_initialize_ends_the_server(client: LspClient) -> None:
    client.hang_up()
    assert await client.ended() == 1


async def test_a_killed_server_takes_its_worker_along(client: LspClient, tmp_path: Path) -> None:
    worker = await busy(client, tmp_path, "STALL\n")
    client.process.kill()
    assert await gone(worker)


async def test_a_terminated_server_ends_in_good_order(client: LspClient, tmp_path: Path) -> None:
    worker = await busy(client, tmp_path)
    client.process.send_signal(signal.SIGTERM)
    assert await client.ended() == 1
    assert await gone(worker)


async def test_a_client_process_that_dies_is_noticed() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent:
        closed = asyncio.Event()
        watcher = asyncio.create_task(watch_parent(parent.pid, closed, seconds=0.01))
        await asyncio.sleep(0)  # it has to see the process alive
        assert not closed.is_set()
        parent.kill()
        parent.wait()
        await asyncio.wait_for(closed.wait(), PATIENCE)
        await watcher


@pytest.mark.parametrize("process_id", [None, 0, -1, 2**31 - 1, 2**70])
async def test_a_client_process_that_was_never_there_is_not_watched(process_id: int | None) -> None:
    closed = asyncio.Event()
    await watch_parent(process_id, closed)
    assert not closed.is_set()


def test_this_process_is_alive() -> None:
    assert is_alive(os.getpid())
