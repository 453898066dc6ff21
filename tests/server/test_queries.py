"""`riskLsp/query` and `riskLsp/lines`: probabilities of any range, of every line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.server.lsp_client import LspClient, ResponseError
from tests.server.test_settings_in_force import runs

URI = "file:///work/program.py"
TEXT = "a = 1\n\n  b = 2  # BUG\n"
BUG = 1 - math.exp(-1.0)


def spanning(start_line: int, start: int, end_line: int, end: int) -> dict[str, Any]:
    return {"start": {"line": start_line, "character": start}, "end": {"line": end_line, "character": end}}


async def test_every_line_has_a_probability_and_a_blank_one_null(client: LspClient) -> None:
    await client.initialize()
    client.open(URI, TEXT, version=4)
    assert await client.request("riskLsp/lines", {"uri": URI}) == {
        "version": 4,
        "lines": [0.0, None, pytest.approx(BUG), None],
    }


async def test_ranges_are_answered_in_order(client: LspClient) -> None:
    await client.initialize()
    client.open(URI, TEXT)
    ranges = [spanning(0, 0, 99, 0), spanning(2, 2, 2, 3), spanning(0, 0, 0, 5), spanning(1, 0, 1, 0)]
    answer = await client.request("riskLsp/query", {"uri": URI, "ranges": ranges})
    assert answer["version"] == 1
    assert answer["probabilities"] == pytest.approx([BUG, 1 - math.exp(-0.2), 0.0, 0.0])


async def test_ranges_count_in_the_agreed_encoding(client: LspClient) -> None:
    await client.initialize("nvim-0.12")
    client.open(URI, "🐍🐍🐍 BUG\n")
    ranges = [spanning(0, 0, 0, 12), spanning(0, 13, 0, 16)]
    answer = await client.request("riskLsp/query", {"uri": URI, "ranges": ranges})
    assert answer["probabilities"] == pytest.approx([1 - math.exp(-0.5)] * 2)


async def test_ten_thousand_ranges_cost_no_further_run_of_the_model(client: LspClient, tmp_path: Path) -> None:
    await client.initialize()
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    ranges = [spanning(2, 0, 2, column % 14) for column in range(10_000)]
    answer = await client.request("riskLsp/query", {"uri": URI, "ranges": ranges})
    assert len(answer["probabilities"]) == 10_000
    assert runs(tmp_path) == 1


async def test_a_question_skips_the_quiet_period(client: LspClient) -> None:
    await client.initialize(initializationOptions={"debounce": 60})
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    client.replace(URI, 2, "x = 1  # BUG")
    assert await client.request("riskLsp/lines", {"uri": URI}) == {"version": 2, "lines": [pytest.approx(BUG)]}


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


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        ("riskLsp/lines", None, "params need a uri"),
        ("riskLsp/lines", [1], "params need a uri"),
        ("riskLsp/lines", {"uri": 5}, "params need a uri"),
        ("riskLsp/lines", {"uri": "file:///other"}, "file:///other is not an open document; open it first"),
        ("riskLsp/query", {"uri": URI}, "params need ranges, a list of LSP ranges"),
        ("riskLsp/query", {"uri": URI, "ranges": [{}]}, "ranges[0].start: expected line and character"),
        ("riskLsp/query", {"uri": URI, "ranges": [spanning(0, 0, 0, -1)]}, "ranges[0].end: expected line and"),
    ],
)
async def test_params_that_cannot_be_read_are_named(client: LspClient, method: str, params: Any, message: str) -> None:
    await client.initialize()
    client.open(URI, TEXT)
    with pytest.raises(ResponseError) as caught:
        await client.request(method, params)
    assert caught.value.code == -32602
    assert message in caught.value.message


async def test_a_document_that_is_not_scored_is_no_crash_but_an_error_with_the_reason(client: LspClient) -> None:
    await client.initialize(initializationOptions={"maxCharacters": 10})
    client.open(URI, TEXT)
    with pytest.raises(ResponseError, match="this document has 22 characters and documents over 10 are not scored"):
        await client.request("riskLsp/lines", {"uri": URI})
