"""Diagnostics for clients that pull them and refresh: never pushed, answered when the planned run is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.server.lsp_client import LspClient, ResponseError
from tests.server.test_settings_in_force import reconfigure, runs

URI = "file:///project/program.py"
TEXT = "a = 1\nb = 2  # BUG\n"
REFRESH = "workspace/diagnostic/refresh"


def send_pull(client: LspClient, previous: str | None = None) -> int:
    params: dict[str, Any] = {"textDocument": {"uri": URI}, "identifier": "risk-lsp"}
    return client.send_request("textDocument/diagnostic", {**params, "previousResultId": previous})


async def pull(client: LspClient, previous: str | None = None) -> dict[str, Any]:
    report = await client.result_of(send_pull(client, previous))
    assert isinstance(report, dict)
    return report


async def start(client: LspClient, **options: Any) -> None:
    await client.initialize(pull=True, initializationOptions={"debounce": 0.0, **options})
    client.open(URI, TEXT)


async def test_a_pull_waits_for_the_numbers_and_nothing_is_pushed(client: LspClient) -> None:
    await start(client)
    report = await pull(client)
    assert report["kind"] == "full"
    assert [each["range"]["start"]["line"] for each in report["items"]] == [1]
    client.close(URI)
    assert await client.hover(URI, line=1) is None
    assert client.all_of("textDocument/publishDiagnostics") == []


async def test_what_the_client_has_already_is_not_sent_again(client: LspClient) -> None:
    await start(client)
    first = await pull(client)
    assert await pull(client, first["resultId"]) == {"kind": "unchanged", "resultId": first["resultId"]}
    client.replace(URI, 2, TEXT + "c = 3\n")
    assert (await pull(client, first["resultId"]))["kind"] == "unchanged"
    client.replace(URI, 3, "\n" + TEXT)
    assert (await pull(client, first["resultId"]))["kind"] == "full"


async def test_diagnostics_that_come_back_are_news_to_a_client_that_asked_before_others_came(client: LspClient) -> None:
    await start(client)
    first = await pull(client)
    await client.execute("riskLsp.ignoreLine", URI, 1, "stored")
    others = await pull(client, first["resultId"])
    assert others["items"] == []
    await client.execute("riskLsp.stopIgnoring", URI, 1)
    assert (await pull(client, first["resultId"]))["items"] == first["items"]


async def test_a_pull_does_not_skip_the_quiet_period_and_an_edit_sends_it_away(
    client: LspClient, tmp_path: Path
) -> None:
    await start(client)
    await pull(client)
    await reconfigure(client, {"debounce": 60})
    await client.message(lambda message: message.get("method") == REFRESH)
    client.replace(URI, 2, TEXT + "c = 3\n")
    waiting = send_pull(client)
    client.replace(URI, 3, TEXT + "d = 4\n")
    with pytest.raises(ResponseError) as caught:
        await client.result_of(waiting)
    assert caught.value.code == -32802
    assert caught.value.data == {"retriggerRequest": False}
    assert runs(tmp_path) == 1


async def test_the_client_is_told_to_pull_again_when_more_than_the_text_changes(client: LspClient) -> None:
    await start(client)
    await pull(client)
    assert client.all_of(REFRESH) == [], "a pull that waits needs no telling"
    seen = await reconfigure(client, {"threshold": 0.9})
    await client.notification(REFRESH, seen)
    assert (await pull(client))["items"] == []
    seen = len(client.received)
    await client.execute("riskLsp.snooze", 30)
    await client.notification(REFRESH, seen)


@pytest.mark.parametrize("options", [{"enabled": False}, {"maxCharacters": 5}, {"bundle": "/missing"}])
async def test_a_document_without_numbers_has_no_diagnostics(client: LspClient, options: dict[str, Any]) -> None:
    await start(client, **options)
    assert (await pull(client))["items"] == []


async def test_turning_the_server_off_answers_who_waits(client: LspClient) -> None:
    await client.initialize(pull=True)
    client.open(URI, "STALL\n")
    pulled, asked = send_pull(client), client.send_request("riskLsp/lines", {"uri": URI})
    await reconfigure(client, {"enabled": False})
    for message_id in (pulled, asked):
        await client.message(lambda message, wanted=message_id: message.get("id") == wanted)  # type: ignore[misc]


async def test_what_another_model_said_is_taken_back_while_the_new_one_loads(client: LspClient, tmp_path: Path) -> None:
    await start(client)
    first = await pull(client)
    seen = len(client.received)
    client.notify("riskLsp/userSettings", {"debounce": 0.0, "bundle": "/gated"})
    await client.notification(REFRESH, seen)
    assert (await pull(client, first["resultId"]))["items"] == []
    seen = len(client.received)
    (tmp_path / "release").touch()
    await client.notification(REFRESH, seen)
    assert len((await pull(client))["items"]) == 1
