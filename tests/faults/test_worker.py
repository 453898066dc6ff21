"""Whatever happens to the model's process, every open document is analysed in the end."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.worker.messages import WorkerProcess
from risk_lsp.worker.supervisor import Supervisor, WorkerState
from tests.faults.conftest import Start
from tests.server.documents.test_model_lifecycle import worker_pid
from tests.server.lsp_client import PATIENCE, LspClient, ResponseError

MESSAGE, STATUS = "window/showMessage", "riskLsp/status"
URIS = [f"file:///project/{number}.py" for number in range(5)]
QUICK = {"backoff": 0.01, "longest_backoff": 0.01}
OWN = {"experimental": {"riskLsp": {"status": True}}}


async def restarted(client: LspClient, after: int) -> int:
    """The index of the message that says that the worker is being restarted."""
    said = await client.message(
        lambda message: message.get("method") == STATUS and "restarted" in message["params"]["message"], after
    )
    return next(place for place, message in enumerate(client.received) if message is said)


async def test_a_worker_killed_at_random_under_editing_loses_no_document(
    start: Start, tmp_path: Path, long: bool, figure: Callable[[str], None]
) -> None:
    kills, chance, began = 100 if long else 6, random.Random(0), time.monotonic()
    client = await start(timings=QUICK)
    await client.initialize("emacs30-eglot", capabilities=OWN, initializationOptions={"debounce": 0.0})
    versions = dict.fromkeys(URIS, 1)
    for uri in URIS:
        client.open(uri, "x = 1  # BUG\n")
        await client.diagnostics(uri, 1)
    for _ in range(kills):
        for uri in chance.choices(URIS, k=chance.randrange(4)):
            versions[uri] += 1
            client.change(uri, versions[uri], {"text": f"x = {versions[uri]}  # BUG\n" * chance.randrange(1, 2000)})
        await asyncio.sleep(chance.uniform(0.0, 0.02))  # at any moment of the work
        seen = len(client.received)
        os.kill(worker_pid(tmp_path), signal.SIGKILL)
        place = await restarted(client, seen)
        for uri, version in versions.items():
            assert await client.diagnostics(uri, version, place)
    seconds = time.monotonic() - began
    shown = len(client.all_of(MESSAGE))
    figure(f"{kills} kills, {kills * len(URIS)} analyses repeated, none lost, {shown} message(s) in {seconds:.0f} s")
    assert 1 <= shown <= 1 + seconds / 60


async def test_a_text_that_needs_more_memory_than_there_is_fails_alone(
    start: Start, figure: Callable[[str], None]
) -> None:
    client = await start()
    await client.initialize("emacs30-eglot")
    client.open(URIS[0], "HOG")
    with pytest.raises(ResponseError, match="the worker met a MemoryError"):
        await client.request("riskLsp/lines", {"uri": URIS[0]})
    client.open(URIS[1], "x = 1  # BUG\n")
    assert len(await client.diagnostics(URIS[1], 1)) == 1
    assert client.all_of(MESSAGE) == []
    figure("the worker lives on, nothing is shown but the reason when it is asked for")


async def test_a_model_that_stalls_is_replaced_and_the_text_left_alone(
    start: Start, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    client = await start(timings={**QUICK, "request": 0.5, "request_per_character": 0.0})
    await client.initialize("emacs30-eglot")
    client.open(URIS[0], "STALL")
    client.open(URIS[1], "x = 1  # BUG\n")
    assert len(await client.diagnostics(URIS[1], 1)) == 1
    with pytest.raises(ResponseError, match="the model process ended each time it read this text"):
        await client.request("riskLsp/lines", {"uri": URIS[0]})
    loads = len((tmp_path / "loads").read_text().splitlines())
    assert loads <= 3
    figure("replaced twice, then the text is left alone until it is edited")


async def test_a_stop_that_comes_along_with_the_loaded_model_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-m", "tests.server.scripted_worker", str(tmp_path)]
    supervisor = Supervisor({"bundle": "any"}, command=command)
    stopping: list[asyncio.Task[None]] = []
    load = WorkerProcess.load

    async def load_and_stop(process: WorkerProcess, options: dict[str, Any], seconds: float) -> dict[str, Any]:
        loaded = await load(process, options, seconds)
        stopping.append(asyncio.ensure_future(supervisor.stop()))
        return loaded

    monkeypatch.setattr(WorkerProcess, "load", load_and_stop)
    await supervisor.start()
    while not stopping:
        await asyncio.sleep(0.01)
    done, _ = await asyncio.wait(stopping, timeout=PATIENCE)
    assert done
    assert supervisor.state is WorkerState.STOPPED
    assert len(stopping) == 1, "nothing was served any more"
