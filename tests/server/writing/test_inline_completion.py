"""What the model would write at the cursor: offered with its numbers, accepted without a run, and never stale."""

from __future__ import annotations

import asyncio
import json
import re
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.server.documents.document_places import content_hash
from tests.server.lsp_client import PATIENCE, LspClient, ResponseError
from tests.server.person import default_server

URI = "file:///project/program.py"
BEFORE = "def first(values):\n    "
ON = {"inlineCompletion": True, "threshold": 0.3, "debounce": 0.0}
WRITTEN = ["return BUG values\n    # and on", "return values[0]", "return MAYBE values"]
INVOKED, AUTOMATIC = 1, 2


@pytest.fixture(autouse=True)
def writes(tmp_path: Path) -> None:
    """What the scripted model writes."""
    (tmp_path / "writes").write_text(json.dumps(WRITTEN), encoding="utf-8")


def runs(folder: Path) -> int:
    """How many texts were read so far."""
    notes = folder / "runs"
    return len(notes.read_text("utf-8").splitlines()) if notes.exists() else 0


def times_written(folder: Path) -> int:
    notes = folder / "written"
    return len(notes.read_text("utf-8").splitlines()) if notes.exists() else 0


async def beginning(folder: Path) -> None:
    """Wait until the worker has begun to write."""
    while times_written(folder) == 0:
        await asyncio.sleep(0.01)


def at_end_of(text: str) -> dict[str, int]:
    lines = text.split("\n")
    return {"line": len(lines) - 1, "character": len(lines[-1])}


def asked(text: str = BEFORE, kind: int = INVOKED) -> dict[str, Any]:
    return {"textDocument": {"uri": URI}, "position": at_end_of(text), "context": {"triggerKind": kind}}


async def items(client: LspClient, text: str = BEFORE, kind: int = INVOKED) -> list[dict[str, Any]]:
    answer = await client.request("textDocument/inlineCompletion", asked(text, kind))
    found = answer["items"]
    assert isinstance(found, list)
    return found


async def opened(client: LspClient, text: str = BEFORE, **settings: Any) -> None:
    """A document, once it is scored."""
    await client.initialize("emacs30-eglot", initializationOptions={**ON, **settings})
    client.open(URI, text)
    await client.request("riskLsp/lines", {"uri": URI})


def insert(client: LspClient, version: int, text: str, at: str = BEFORE) -> None:
    place = at_end_of(at)
    client.change(URI, version, {"range": {"start": place, "end": place}, "text": text})


async def test_it_is_off_by_default_and_then_nothing_is_written(client: LspClient, tmp_path: Path) -> None:
    await opened(client, inlineCompletion=False)

    assert await items(client) == []
    assert times_written(tmp_path) == 0
    assert "'writes': False" in (tmp_path / "loads").read_text("utf-8")


async def test_a_workspace_cannot_turn_it_on(client: LspClient, tmp_path: Path) -> None:
    client.configuration = {"inlineCompletion": True}
    await client.initialize("vscode-1.139")
    client.open(URI, BEFORE)
    await client.message(lambda message: "inlineCompletion" in str(message.get("params", {})))
    await client.request("riskLsp/lines", {"uri": URI})

    assert await items(client) == []
    assert times_written(tmp_path) == 0
    assert "inlineCompletion: true is refused" in str(client.all_of("window/showMessage"))


async def test_each_text_comes_with_words_and_numbers(client: LspClient) -> None:
    await opened(client)
    first, *_ = await items(client)

    assert first["insertText"] == WRITTEN[0]
    assert first["range"] == {"start": at_end_of(BEFORE), "end": at_end_of(BEFORE)}
    command = first["command"]
    assert command["title"] == "1 line worth a look, 63%"  # 1 - exp(-1)
    uri, _, said = command["arguments"]
    assert uri == URI
    assert said["words"] == command["title"] and said["gives"] == "percent"
    assert [line["start"] for line in said["lines"]] == [{"line": 0, "character": 0}, {"line": 1, "character": 4}]
    assert said["lines"][0]["probability"] == pytest.approx(0.632, abs=0.001)
    assert [token["start"]["character"] for token in said["tokens"][:3]] == [0, 7, 11]
    assert said["tokens"][1]["probability"] == pytest.approx(0.283, abs=0.001)  # 1 - exp(-1 / 3)


async def test_where_percentages_were_not_measured_there_are_words_alone(client: LspClient) -> None:
    await client.initialize("emacs30-eglot", initializationOptions=ON)
    client.open(URI, "x = ", language_id="javascript")
    await client.request("riskLsp/lines", {"uri": URI})
    first, *_ = await items(client, "x = ")

    said = first["command"]["arguments"][2]
    assert said["words"] == "1 line worth a look"
    assert said["gives"] == "order" and "measured on Python" in said["why"]


async def test_one_text_comes_by_itself_and_several_when_they_are_asked_for(client: LspClient) -> None:
    await opened(client)

    assert len(await items(client, kind=AUTOMATIC)) == 1
    assert len(await items(client, kind=INVOKED)) == 3


async def test_a_gate_hides_what_is_too_risky(client: LspClient) -> None:
    await opened(client, riskGate=0.3)

    assert [item["insertText"] for item in await items(client)] == WRITTEN[1:]


async def test_what_is_accepted_is_generated_and_shown_without_a_run(client: LspClient, tmp_path: Path) -> None:
    await opened(client, scope="generated", debounce=5.0)
    item, *_ = await items(client)
    before = runs(tmp_path)

    insert(client, 2, item["insertText"])
    started = time.monotonic()
    assert await client.execute(item["command"]["command"], *item["command"]["arguments"]) is True
    shown = await client.diagnostics(URI, 2)
    seconds = time.monotonic() - started

    assert [each["range"]["start"]["line"] for each in shown] == [1]
    assert [each["data"]["place"] for each in shown] == ["generated"]
    assert seconds < 1.0  # 0.01 on an idle machine
    lines = await client.request("riskLsp/lines", {"uri": URI})
    assert lines["version"] == 2 and lines["lines"][1] == pytest.approx(0.632, abs=0.001)
    assert runs(tmp_path) == before


async def accepted(client: LspClient, version: int = 2) -> dict[str, Any]:
    """Accept what the model writes first; what is known of where it comes from."""
    item, *_ = await items(client)
    insert(client, version, item["insertText"])
    assert await client.execute(item["command"]["command"], *item["command"]["arguments"]) is True
    (region,) = (await client.request("riskLsp/written", {"uri": URI}))["regions"]
    assert isinstance(region, dict)
    return region


async def test_of_what_is_accepted_the_model_the_time_and_hashes_are_kept(client: LspClient) -> None:
    await opened(client)
    before = datetime.now(timezone.utc).replace(microsecond=0)
    region = await accepted(client)

    assert region["range"] == {"start": at_end_of(BEFORE), "end": at_end_of(BEFORE + WRITTEN[0])}
    assert (region["model"], region["bundle"]) == ("scripted model", "scripted")
    assert region["textHash"] == content_hash(WRITTEN[0]) and region["promptHash"] == content_hash(BEFORE)
    assert before <= datetime.fromisoformat(region["time"].replace("Z", "+00:00")) <= datetime.now(timezone.utc)
    assert region["isUnchanged"] is True


async def test_hover_says_who_wrote_a_text_and_whether_it_was_edited_since(client: LspClient) -> None:
    await opened(client)
    region = await accepted(client)
    line, character = region["range"]["start"].values()
    said = await client.hover(URI, line, character)
    assert said is not None and re.search(
        r"Written by scripted model on .*, not edited since\.", said["contents"]["value"]
    )

    place = {"line": line, "character": character + 1}
    client.change(URI, 3, {"range": {"start": place, "end": place}, "text": "x"})
    await client.request("riskLsp/lines", {"uri": URI})
    said = await client.hover(URI, line, character)
    assert said is not None and re.search(r"Written by scripted model on .*, edited since\.", said["contents"]["value"])


async def test_what_was_accepted_and_removed_leaves_nothing_behind(client: LspClient) -> None:
    await opened(client)
    await accepted(client)
    client.replace(URI, 3, BEFORE)

    assert (await client.request("riskLsp/written", {"uri": URI}))["regions"] == []


async def test_of_a_text_that_is_accepted_in_part_the_part_is_known(client: LspClient, tmp_path: Path) -> None:
    await opened(client, debounce=5.0)
    item, *_ = await items(client)
    before = runs(tmp_path)

    insert(client, 2, "return BUG")
    assert await client.execute(item["command"]["command"], *item["command"]["arguments"][:2]) is True

    assert [each["range"]["start"]["line"] for each in await client.diagnostics(URI, 2)] == [1]
    assert runs(tmp_path) == before


async def test_what_was_typed_since_the_last_run_is_known_from_the_writing(client: LspClient, tmp_path: Path) -> None:
    await opened(client, text="first = BUG\n\n\n", debounce=5.0)
    typed = "def one():\n    "
    place = {"line": 3, "character": 0}
    client.change(URI, 2, {"range": {"start": place, "end": place}, "text": typed})
    whole = "first = BUG\n\n\n" + typed
    item, *_ = await items(client, whole)
    before = runs(tmp_path)

    insert(client, 3, item["insertText"], whole)
    assert await client.execute(item["command"]["command"], *item["command"]["arguments"]) is True

    assert [each["range"]["start"]["line"] for each in await client.diagnostics(URI, 3)] == [0, 4]
    assert runs(tmp_path) == before


async def test_a_text_is_accepted_although_the_editor_has_asked_for_the_next(client: LspClient) -> None:
    await opened(client)
    item, *_ = await items(client)
    insert(client, 2, item["insertText"])
    await items(client, BEFORE + item["insertText"])

    assert await client.execute(item["command"]["command"], *item["command"]["arguments"]) is True


async def test_a_text_that_does_not_stand_there_is_not_accepted(client: LspClient) -> None:
    await opened(client)
    item, *_ = await items(client)

    insert(client, 2, "pass")
    assert await client.execute(item["command"]["command"], *item["command"]["arguments"]) is False
    assert await client.execute(item["command"]["command"], URI, 12345) is False


async def test_an_edit_ends_the_writing_and_what_was_written_for_an_older_text_is_not_offered(
    client: LspClient, tmp_path: Path
) -> None:
    await opened(client, text=BEFORE)
    stalled = BEFORE + "STALL "
    insert(client, 2, "STALL ")
    request = client.send_request("textDocument/inlineCompletion", asked(stalled))
    await asyncio.wait_for(beginning(tmp_path), PATIENCE)
    client.replace(URI, 3, BEFORE)

    assert (await client.result_of(request))["items"] == []
    assert len(await items(client)) == 3  # the worker is free, though nothing was released


async def test_a_cancelled_request_frees_the_worker(client: LspClient, tmp_path: Path) -> None:
    await opened(client, text=BEFORE)
    insert(client, 2, "STALL ")
    request = client.send_request("textDocument/inlineCompletion", asked(BEFORE + "STALL "))
    await asyncio.wait_for(beginning(tmp_path), PATIENCE)
    client.notify("$/cancelRequest", {"id": request})

    with pytest.raises(ResponseError):
        await client.result_of(request)
    client.replace(URI, 3, BEFORE)
    assert len(await items(client)) == 3


async def test_the_built_in_model_writes_and_is_said_to_write_poorly(tmp_path: Path) -> None:
    client = await LspClient.start(default_server(tmp_path))
    try:
        await opened(client)
        found = await items(client)
        assert "writes poorly" in str(client.all_of("window/showMessage"))
        insert(client, 2, found[0]["insertText"])
        assert await client.execute("riskLsp.acceptWritten", *found[0]["command"]["arguments"][:2]) is True
        assert await client.diagnostics(URI, 2) is not None
    finally:
        await client.kill()


async def test_the_server_says_that_it_completes_in_line(client: LspClient) -> None:
    capabilities = await client.initialize("vscode-1.139")

    assert "inlineCompletionProvider" in capabilities
    assert "riskLsp.acceptWritten" in capabilities["executeCommandProvider"]["commands"]
