"""`riskLsp.report`: the page of an open text."""

from __future__ import annotations

import pytest

from tests.server.lsp_client import LspClient, ResponseError

URI = "file:///project/a%20program.py"
TEXT = "a = '<b>'\nb = 2  # BUG\nc = 3  # BUG # risk: ignore\n"


async def test_the_report_is_a_whole_page_about_the_newest_text(client: LspClient) -> None:
    await client.initialize(initializationOptions={"debounce": 60})
    client.open(URI, "x = 1\n")
    await client.diagnostics(URI, 1)
    client.replace(URI, 2, TEXT)
    page = (await client.execute("riskLsp.report", URI))["html"]
    assert page.lstrip().startswith("<!doctype html>")
    assert '<h2 id="f1">a program.py</h2>' in page
    assert "63%" in page
    assert "<b>" not in page, "code is text"


async def test_an_ignored_line_is_not_pointed_at(client: LspClient) -> None:
    await client.initialize()
    for text, pointed_at in (("c = 3  # BUG\n", 1), ("c = 3  # BUG # risk: ignore\n", 0)):
        client.open(URI, text)
        page = (await client.execute("riskLsp.report", URI))["html"]
        assert page.count("Most of it from") == pointed_at


async def test_a_text_that_is_not_scored_has_no_report_but_a_reason(client: LspClient) -> None:
    await client.initialize(initializationOptions={"maxCharacters": 10})
    client.open(URI, TEXT)
    with pytest.raises(ResponseError, match="over 10 are not scored"):
        await client.execute("riskLsp.report", URI)
