"""The note that a document is outside the calibrated range."""

from __future__ import annotations

from risk_lsp.risk.presentation import LONGEST
from tests.server.lsp_client import LspClient


async def test_the_hover_and_the_lines_say_so(client: LspClient) -> None:
    await client.initialize("emacs30-eglot")
    client.open("file:///a.rs", "let a = 1;  // BUG\n", language_id="rust")
    await client.diagnostics("file:///a.rs", 1)
    hover = await client.hover("file:///a.rs", line=0)
    assert hover is not None
    why = (await client.request("riskLsp/lines", {"uri": "file:///a.rs"}))["outside"]
    assert "measured on Python programs" in why and "rust" in why
    assert hover["contents"]["value"].endswith(f"\nOutside its calibrated range: {why}.")


async def test_a_long_program_is_outside_and_a_short_one_is_not(client: LspClient) -> None:
    await client.initialize()
    for uri, lines, is_outside in (("file:///short.py", LONGEST, False), ("file:///long.py", LONGEST + 1, True)):
        client.open(uri, "\n" * (lines - 1))
        assert bool((await client.request("riskLsp/lines", {"uri": uri}))["outside"]) == is_outside
