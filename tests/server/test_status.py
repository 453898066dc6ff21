"""`riskLsp/status` and `riskLsp/analysed`: for clients that ask for them, and for no others."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path
from typing import Any

from tests.server.documents.test_model_lifecycle import release, worker_pid
from tests.server.lsp_client import LspClient
from tests.server.test_settings_in_force import reconfigure

URI = "file:///project/program.py"
TEXT = "a = 1\nb = 2  # BUG\n"
STATUS, ANALYSED = "riskLsp/status", "riskLsp/analysed"


async def initialize(client: LspClient, **options: Any) -> None:
    """Shake hands as a client that wants to hear everything."""
    capabilities = {
        "workspace": {"configuration": True, "didChangeConfiguration": {"dynamicRegistration": True}},
        "experimental": {"riskLsp": {"status": True, "analysed": True}},
    }
    await client.initialize("emacs30-eglot", capabilities=capabilities, initializationOptions=options)


async def status(client: LspClient, state: str, after: int = 0) -> dict[str, Any]:
    """The first status of this state; waits for it."""
    message = await client.message(lambda m: m.get("method") == STATUS and m["params"]["state"] == state, after)
    params = message["params"]
    assert isinstance(params, dict)
    return params


async def test_the_states_from_the_start_to_the_first_numbers(client: LspClient, tmp_path: Path) -> None:
    await initialize(client, bundle="/gated")
    assert await status(client, "starting") == {
        "state": "starting",
        "message": "The model is still loading.",
        "bundle": None,
        "until": None,
    }
    release(tmp_path)
    assert await status(client, "ready") == {"state": "ready", "message": "Ready.", "bundle": "scripted", "until": None}
    seen = len(client.received)
    client.open(URI, TEXT, version=7)
    await status(client, "analysing", seen)
    await status(client, "ready", seen)
    assert await client.notification(ANALYSED) == {"uri": URI, "version": 7}


async def test_a_status_is_sent_once(client: LspClient) -> None:
    await initialize(client)
    client.open(URI, TEXT)
    await client.notification(ANALYSED)
    seen = await reconfigure(client, {"threshold": 0.9})
    await client.notification(ANALYSED, seen)
    said = client.all_of(STATUS)
    assert all(one != other for one, other in itertools.pairwise(said))


async def test_a_model_that_cannot_be_loaded_is_failed(client: LspClient) -> None:
    await initialize(client, bundle="/missing")
    assert (await status(client, "failed"))["message"] == (
        "The model could not be loaded: no probe bundle here (check the setting bundle)."
    )


async def test_a_killed_worker_is_starting_again(client: LspClient, tmp_path: Path) -> None:
    await initialize(client)
    client.open(URI, TEXT)
    await client.notification(ANALYSED)
    seen = len(client.received)
    os.kill(worker_pid(tmp_path), signal.SIGKILL)
    assert (await status(client, "starting", seen))["message"] == (
        "The model is being restarted (the worker was killed)."
    )
    await client.notification(ANALYSED, seen)


async def test_turned_off_is_off(client: LspClient) -> None:
    await initialize(client)
    await status(client, "ready")
    await reconfigure(client, {"enabled": False})
    assert (await status(client, "off"))["message"] == "Turned off by the setting enabled."
    seen = await reconfigure(client, {"enabled": True})
    await status(client, "ready", seen)


async def test_a_document_outside_the_calibrated_range_is_remarked_on(client: LspClient) -> None:
    await initialize(client)
    client.open("file:///project/a%20page.js", TEXT, language_id="javascript")
    await client.notification(ANALYSED)
    assert (await client.message(lambda m: m.get("method") == STATUS and "calibrated" in m["params"]["message"]))[
        "params"
    ]["message"] == (
        "Ready. Outside its calibrated range: a page.js (the numbers were measured on Python programs,"
        " and the language of this one is javascript)."
    )


async def test_clients_that_do_not_ask_hear_nothing(client: LspClient) -> None:
    await client.initialize()
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    assert client.all_of(STATUS) == client.all_of(ANALYSED) == []
