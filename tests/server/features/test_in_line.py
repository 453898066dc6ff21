"""Inlay hints and code lenses: off by default, and steady between an edit and the next numbers."""

from __future__ import annotations

from typing import Any

from tests.server.lsp_client import LspClient
from tests.server.test_settings_in_force import reconfigure

URI = "file:///project/program.py"
TEXT = "def f(a):\n    return a  # BUG\n\n\ndef g():\n    return 1\n"
ON = {"inlayHints": True, "codeLens": True}
HINTS, LENSES = "textDocument/inlayHint", "textDocument/codeLens"


async def hints(client: LspClient, first: int = 0, last: int = 99) -> list[tuple[int, int, str]]:
    """Line, character and label of each hint."""
    range_ = {"start": {"line": first, "character": 0}, "end": {"line": last, "character": 0}}
    found = await client.request(HINTS, {"textDocument": {"uri": URI}, "range": range_})
    return [(hint["position"]["line"], hint["position"]["character"], hint["label"]) for hint in found]


async def lenses(client: LspClient) -> list[tuple[int, str]]:
    """Line and title of each lens."""
    found = await client.request(LENSES, {"textDocument": {"uri": URI}})
    return [(lens["range"]["start"]["line"], lens["command"]["title"]) for lens in found]


async def start(client: LspClient, **options: Any) -> None:
    await client.initialize(initializationOptions=options)
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)


async def test_nothing_is_written_into_the_text_unless_asked_for(client: LspClient) -> None:
    await start(client)
    assert (await hints(client), await lenses(client)) == ([], [])
    assert client.all_of("workspace/inlayHint/refresh") == client.all_of("workspace/codeLens/refresh") == []


async def test_hints_are_at_the_end_of_lines_that_are_shown_and_in_range(client: LspClient) -> None:
    await start(client, **ON)
    assert await hints(client) == [(1, 19, "63%")]
    assert await hints(client, first=2) == []


async def test_each_function_has_a_lens(client: LspClient) -> None:
    await start(client, **ON)
    assert await lenses(client) == [(0, "63% likely to need an edit"), (4, "<1% likely to need an edit")]


async def test_between_an_edit_and_its_numbers_lines_left_alone_keep_theirs(client: LspClient) -> None:
    await start(client, debounce=60, **ON)
    client.replace(URI, 2, "import os\n" + TEXT.replace("g()", "h()"))
    assert await hints(client) == [(2, 19, "63%")]
    assert await lenses(client) == [(1, "63% likely to need an edit")]
    client.replace(URI, 3, TEXT.replace("# BUG", "# was here"))
    assert await hints(client) == []


async def test_the_client_is_told_when_there_is_something_new(client: LspClient) -> None:
    await start(client)
    seen = await reconfigure(client, ON)
    await client.notification("workspace/inlayHint/refresh", seen)
    await client.notification("workspace/codeLens/refresh", seen)
    assert len(await hints(client)) == 1
    seen = await reconfigure(client, {})
    await client.notification("workspace/inlayHint/refresh", seen)
    assert await hints(client) == []


async def test_a_pause_hides_them(client: LspClient) -> None:
    await start(client, **ON)
    await client.execute("riskLsp.snooze", 5)
    assert (await hints(client), await lenses(client)) == ([], [])


async def test_a_document_without_numbers_or_that_is_not_open_has_none(client: LspClient) -> None:
    await client.initialize(initializationOptions={**ON, "bundle": "/missing"})
    assert await hints(client) == []
    client.open(URI, TEXT)
    assert (await hints(client), await lenses(client)) == ([], [])
