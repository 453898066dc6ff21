"""Of a long text people see what is known near them, while the rest is on its way; nothing else flickers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.server.features.test_pulled_diagnostics import REFRESH, send_pull
from tests.server.lsp_client import LspClient

URI = "file:///project/program.py"
LINES = 20
TEXT = "".join(f"def f{line}(): return {line}  # BUG\n" for line in range(LINES))
PARTS = "# PARTS\n"  # what the scripted worker gives the neighbourhood first for


def inserted(line: int, text: str) -> dict[str, Any]:
    at = {"line": line, "character": 0}
    return {"range": {"start": at, "end": at}, "text": text}


def lines_of(diagnostics: list[dict[str, Any]]) -> list[int]:
    return [each["range"]["start"]["line"] for each in diagnostics]


async def begun(client: LspClient, text: str = TEXT + PARTS, **options: Any) -> None:
    """The text is open, and something of it known."""
    settings = {"debounce": 0.0, "maxDiagnostics": 100, "codeLens": True, "inlayHints": True}
    await client.initialize(initializationOptions=settings, **options)
    client.open(URI, text)


def finish(folder: Path) -> None:
    (folder / "release").touch()


async def hover(client: LspClient, line: int) -> str:
    answer = await client.hover(URI, line)
    assert answer is not None
    return str(answer["contents"]["value"])


async def test_lines_near_the_last_edit_are_shown_before_the_rest(client: LspClient, tmp_path: Path) -> None:
    await begun(client, TEXT)
    await client.diagnostics(URI, 1)
    client.replace(URI, 2, "")
    client.replace(URI, 3, TEXT)
    seen = len(client.received)
    client.change(URI, 4, inserted(LINES, PARTS), inserted(7, "x = 1  # BUG\n"))

    first = lines_of(await client.diagnostics(URI, 4, seen))
    seen = len(client.received)
    finish(tmp_path)
    whole = lines_of(await client.diagnostics(URI, 4, seen))

    assert {6, 7, 8} <= set(first)
    assert whole == list(range(LINES + 1))


async def test_a_text_that_was_just_opened_is_shown_from_its_start(client: LspClient) -> None:
    await begun(client)

    assert lines_of(await client.diagnostics(URI, 1)) == [0, 1]


async def test_lines_that_were_shown_keep_their_numbers_until_the_new_ones_are_known(
    client: LspClient, tmp_path: Path
) -> None:
    await begun(client, TEXT)
    before = await client.diagnostics(URI, 1)
    client.change(URI, 2, inserted(LINES, PARTS), inserted(3, "\n"))

    first = await client.diagnostics(URI, 2)

    assert lines_of(first) == [0, 1, 2, *range(4, LINES + 1)]
    assert [each["message"] for each in first] == [each["message"] for each in before]
    finish(tmp_path)


async def test_of_a_part_no_number_is_given_for_the_document_or_a_function_beyond_it(
    client: LspClient, tmp_path: Path
) -> None:
    await begun(client)
    await client.diagnostics(URI, 1)

    assert (await hover(client, 0)).endswith("Function `f0`: 63%, document: still being scored")
    assert await hover(client, 9) == "This line is still being scored.\n\nDocument: still being scored"
    finish(tmp_path)
    await client.request("riskLsp/lines", {"uri": URI})
    assert (await hover(client, 9)).endswith("Function `f9`: 63%, document: >99%")


async def test_requests_for_all_lines_wait_for_all_of_them(client: LspClient, tmp_path: Path) -> None:
    own = {"experimental": {"riskLsp": {"analysed": True}}}
    await begun(client, dump="emacs30-eglot", capabilities=own)
    asked = client.send_request("riskLsp/lines", {"uri": URI})
    await client.diagnostics(URI, 1)
    await client.hover(URI, 0)

    assert not [message for message in client.received if message.get("id") == asked and "method" not in message]
    assert client.all_of("riskLsp/analysed") == []
    finish(tmp_path)
    assert None not in (await client.result_of(asked))["lines"][:LINES]
    assert client.all_of("riskLsp/analysed") == [{"uri": URI, "version": 1}]


async def test_functions_keep_what_they_had_until_the_whole_is_known(client: LspClient, tmp_path: Path) -> None:
    await begun(client, TEXT)
    await client.diagnostics(URI, 1)
    client.change(URI, 2, inserted(LINES, PARTS))
    await client.diagnostics(URI, 2)

    lenses = await client.request("textDocument/codeLens", {"textDocument": {"uri": URI}})

    assert len(lenses) == LINES
    finish(tmp_path)


async def test_a_pull_is_answered_with_what_is_known_and_asked_for_again_when_all_is(
    client: LspClient, tmp_path: Path
) -> None:
    await begun(client, pull=True)
    first = await client.result_of(send_pull(client))
    seen = len(client.received)
    finish(tmp_path)

    await client.message(lambda message: message.get("method") == REFRESH, seen)

    assert lines_of(first["items"]) == [0, 1]
    assert len((await client.result_of(send_pull(client)))["items"]) == LINES


@pytest.mark.parametrize("ask", ["textDocument/hover", "textDocument/codeAction", "textDocument/inlayHint"])
async def test_what_a_person_looks_at_comes_first(client: LspClient, tmp_path: Path, ask: str) -> None:
    await client.initialize(initializationOptions={"bundle": "gated", "maxDiagnostics": 100, "inlayHints": True})
    client.open(URI, TEXT + PARTS)
    place, end = {"line": 15, "character": 0}, {"line": 18, "character": 0}
    where = {"position": place, "range": {"start": place, "end": end}, "context": {"diagnostics": []}}
    await client.request(ask, {"textDocument": {"uri": URI}, **where})
    finish(tmp_path)  # the worker's loading, too

    assert lines_of(await client.diagnostics(URI, 1)) == [14, 15, 16]
