"""Questions that meet edits, cancellation and the quiet period."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.server.lsp_client import LspClient, ResponseError

URI = "file:///project/program.py"
TEXT = "a = 1\n\n  b = 2  # BUG\n"
BUG = 1 - math.exp(-1.0)


async def test_a_question_skips_the_quiet_period(client: LspClient) -> None:
    await client.initialize(initializationOptions={"debounce": 60})
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    client.replace(URI, 2, "x = 1  # BUG")
    answer = await client.request("riskLsp/lines", {"uri": URI})
    assert (answer["version"], answer["lines"]) == (2, [pytest.approx(BUG)])


async def test_a_question_overtaken_by_an_edit_says_so(client: LspClient) -> None:
    await client.initialize()
    client.open(URI, "STALL\n")
    waiting = client.send_request("riskLsp/lines", {"uri": URI})
    client.replace(URI, 2, TEXT)
    with pytest.raises(ResponseError) as caught:
        await client.result_of(waiting)
    assert caught.value.code == -32801


async def test_a_cancelled_question_is_answered_as_cancelled_and_the_server_goes_on(
    client: LspClient, tmp_path: Path
) -> None:
    await client.initialize()
    client.open(URI, "STALL\n" + TEXT)
    waiting = client.send_request("riskLsp/lines", {"uri": URI})
    client.notify("$/cancelRequest", {"id": waiting})
    with pytest.raises(ResponseError) as caught:
        await client.result_of(waiting)
    assert caught.value.code == -32800
    (tmp_path / "release").touch()
    assert len((await client.request("riskLsp/lines", {"uri": URI}))["lines"]) == 5
