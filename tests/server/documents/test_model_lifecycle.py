"""While the model loads, when it cannot, when it dies: people are told, and nothing is lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.server.lsp_client import LspClient, ResponseError
from tests.server.test_settings_in_force import MESSAGE, runs

URI = "file:///project/program.py"
OTHER = "file:///project/other.py"
TEXT = "b = 2  # BUG\n"


def worker_pid(folder: Path) -> int:
    return int((folder / "pid").read_text(encoding="ascii"))


def release(folder: Path) -> None:
    (folder / "release").touch()


async def hover_text(client: LspClient, uri: str = URI) -> str:
    hover = await client.hover(uri, line=0)
    assert hover is not None
    text = hover["contents"]["value"]
    assert isinstance(text, str)
    return text


async def test_a_hover_before_the_model_is_ready_says_so(client: LspClient, tmp_path: Path) -> None:
    await client.initialize("emacs30-eglot", initializationOptions={"bundle": "/gated"})
    client.open(URI, TEXT)
    assert await hover_text(client) == "risk-lsp: the model is still loading"
    release(tmp_path)
    assert len(await client.diagnostics(URI, 1)) == 1


async def test_a_hover_on_a_text_that_is_being_scored_says_so(client: LspClient, tmp_path: Path) -> None:
    await client.initialize("emacs30-eglot")
    client.open(OTHER, TEXT)
    await client.diagnostics(OTHER, 1)
    client.open(URI, "STALL\n" + TEXT)
    assert await hover_text(client) == "risk-lsp: this text is being scored"
    release(tmp_path)
    assert len(await client.diagnostics(URI, 1)) == 1


async def test_a_model_that_cannot_be_loaded_is_explained(client: LspClient) -> None:
    await client.initialize("emacs30-eglot", initializationOptions={"bundle": "/missing"})
    message = await client.notification(MESSAGE)
    assert message["type"] == 1
    assert "no probe bundle here (check the setting bundle)" in message["message"]
    client.open(URI, TEXT)
    assert await hover_text(client) == (
        "risk-lsp: the model could not be loaded: no probe bundle here (check the setting bundle)"
    )
    with pytest.raises(ResponseError, match="no probe bundle here"):
        await client.request("riskLsp/lines", {"uri": URI})
    assert await client.shut_down() == 0


async def test_loading_shows_progress_where_the_client_can(client: LspClient, tmp_path: Path) -> None:
    await client.initialize("nvim-0.12", initializationOptions={"bundle": "/gated"})
    token = (await client.notification("window/workDoneProgress/create"))["token"]
    begin = await client.notification("$/progress")
    assert begin == {"token": token, "value": {"kind": "begin", "title": "risk-lsp", "message": "loading the model"}}
    release(tmp_path)
    end = await client.message(lambda m: m.get("method") == "$/progress" and m["params"]["value"]["kind"] == "end")
    assert end["params"]["token"] == token


async def test_clients_without_progress_are_not_asked_for_it(client: LspClient) -> None:
    await client.initialize("emacs28-eglot")
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    assert client.all_of("window/workDoneProgress/create") == client.all_of("$/progress") == []


async def test_a_killed_worker_is_replaced_and_open_documents_are_scored_again(
    client: LspClient, tmp_path: Path
) -> None:
    await client.initialize()
    for uri in (URI, OTHER):
        client.open(uri, TEXT)
        await client.diagnostics(uri, 1)
    seen, first = len(client.received), worker_pid(tmp_path)
    os.kill(first, signal.SIGKILL)
    for uri in (URI, OTHER):
        assert len(await client.diagnostics(uri, 1, seen)) == 1
    assert worker_pid(tmp_path) != first
    (message,) = client.all_of(MESSAGE)
    assert "the worker was killed; it is started again" in message["message"]


async def test_a_worker_that_keeps_dying_is_reported_once(client: LspClient, tmp_path: Path) -> None:
    await client.initialize()
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    for _ in range(2):
        seen = len(client.received)
        os.kill(worker_pid(tmp_path), signal.SIGKILL)
        await client.diagnostics(URI, 1, seen)
    assert len(client.all_of(MESSAGE)) == 1


async def test_a_text_that_brings_the_worker_down_is_left_alone_and_others_are_served(
    client: LspClient, tmp_path: Path
) -> None:
    await client.initialize("emacs30-eglot", initializationOptions={"debounce": 0.0})
    client.open(URI, "CRASH\n")
    client.open(OTHER, TEXT)
    assert len(await client.diagnostics(OTHER, 1)) == 1
    with pytest.raises(ResponseError, match="the model process ended each time it read this text"):
        await client.request("riskLsp/lines", {"uri": URI})
    assert runs(tmp_path) <= 4
    client.replace(URI, 2, TEXT)
    assert len(await client.diagnostics(URI, 2)) == 1


async def test_a_text_that_waits_is_not_blamed_for_workers_that_end_while_they_load(
    client: LspClient, tmp_path: Path
) -> None:
    await client.initialize("emacs30-eglot", initializationOptions={"debounce": 0.0})
    client.open(URI, "STALL\n")
    while not runs(tmp_path):
        await client.hover(URI, line=0)
    client.open(OTHER, TEXT)
    assert "is being scored" in await hover_text(client, OTHER)
    (tmp_path / "dies").write_text("3", encoding="ascii")
    os.kill(worker_pid(tmp_path), signal.SIGKILL)
    assert len(await client.diagnostics(OTHER, 1)) == 1


async def test_a_text_that_the_model_refuses_is_explained(client: LspClient) -> None:
    await client.initialize("emacs30-eglot")
    client.open(URI, "REFUSE\n")
    with pytest.raises(ResponseError, match=r"this text is refused \(write another one\)"):
        await client.request("riskLsp/lines", {"uri": URI})
    assert await hover_text(client) == (
        "risk-lsp: this document was not scored: this text is refused (write another one)"
    )
    client.open(OTHER, TEXT)
    assert len(await client.diagnostics(OTHER, 1)) == 1


async def test_a_text_over_which_the_scorer_fails_is_explained_and_the_worker_lives_on(
    client: LspClient, tmp_path: Path
) -> None:
    await client.initialize("emacs30-eglot")
    client.open(URI, "BREAK secret\n")
    with pytest.raises(ResponseError, match="the worker met a ZeroDivisionError") as caught:
        await client.request("riskLsp/lines", {"uri": URI})
    assert "secret" not in caught.value.message
    client.open(OTHER, TEXT)
    assert len(await client.diagnostics(OTHER, 1)) == 1
    assert (runs(tmp_path), client.all_of(MESSAGE)) == (2, [])


async def test_the_server_process_never_loads_torch(client: LspClient) -> None:
    await client.initialize()
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    await client.hover(URI, line=0)
    mapped = Path(f"/proc/{client.process.pid}/maps").read_text(encoding="utf-8")
    assert "libpython" in mapped or "python" in mapped
    assert "torch" not in mapped


async def test_the_server_process_stays_small(client: LspClient) -> None:
    await client.initialize()
    client.open(URI, TEXT * 5000)
    await client.diagnostics(URI, 1)
    status = Path(f"/proc/{client.process.pid}/status").read_text(encoding="ascii")
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < 100_000, f"{peak} kB"
