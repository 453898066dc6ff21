"""`riskLsp/query` and `riskLsp/lines`: probabilities of any range, of every line."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.server.lsp_client import LspClient, ResponseError, server_command
from tests.server.test_settings_in_force import runs

pytestmark = pytest.mark.asyncio(loop_scope="module")

URI = "file:///project/program.py"
TEXT = "a = 1\n\n  b = 2  # BUG\n"
BUG = 1 - math.exp(-1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the worker leaves its notes."""
    return tmp_path_factory.mktemp("queries")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(folder: Path) -> AsyncIterator[LspClient]:
    """One server for the tests of this file, with the program above open."""
    connected = await LspClient.start(server_command(folder))
    await connected.initialize("nvim-0.12", initializationOptions={"maxCharacters": 100})
    connected.open(URI, TEXT, version=4)
    await connected.diagnostics(URI, 4)
    yield connected
    await connected.kill()


def spanning(start_line: int, start: int, end_line: int, end: int) -> dict[str, Any]:
    return {"start": {"line": start_line, "character": start}, "end": {"line": end_line, "character": end}}


async def test_every_line_has_a_probability_and_a_blank_one_null(client: LspClient) -> None:
    assert await client.request("riskLsp/lines", {"uri": URI}) == {
        "version": 4,
        "lines": [0.0, None, pytest.approx(BUG), None],
        "labels": ["<1%", None, "63%", None],
        "steps": [0, 0, 3, 0],
        "outside": None,
        "ranks": [2, None, 1, None],
        "of": 2,
        "places": ["generated"] * 4,
        "orders": {},
    }


async def test_ranges_are_answered_in_order(client: LspClient) -> None:
    ranges = [spanning(0, 0, 99, 0), spanning(2, 2, 2, 3), spanning(0, 0, 0, 5), spanning(1, 0, 1, 0)]
    answer = await client.request("riskLsp/query", {"uri": URI, "ranges": ranges})
    assert answer["version"] == 4
    assert answer["probabilities"] == pytest.approx([BUG, 1 - math.exp(-0.2), 0.0, 0.0])
    assert [standing["rank"] for standing in answer["standings"]] == [1, 1, 2, None]
    assert answer["labels"] == ["63%", "18%", "<1%", "<1%"]
    assert answer["sentences"][0] == "63% likely to need an edit"


async def test_ranges_count_in_the_agreed_encoding(client: LspClient) -> None:
    uri = "file:///snakes.py"
    client.open(uri, "🐍🐍🐍 BUG\n")
    ranges = [spanning(0, 0, 0, 12), spanning(0, 13, 0, 16)]
    answer = await client.request("riskLsp/query", {"uri": uri, "ranges": ranges})
    assert answer["probabilities"] == pytest.approx([1 - math.exp(-0.5)] * 2)


async def test_ten_thousand_ranges_cost_no_further_run_of_the_model(client: LspClient, folder: Path) -> None:
    before = runs(folder)
    ranges = [spanning(2, 0, 2, column % 14) for column in range(10_000)]
    answer = await client.request("riskLsp/query", {"uri": URI, "ranges": ranges})
    assert len(answer["probabilities"]) == 10_000
    assert runs(folder) == before


UNREADABLE: list[tuple[str, Any, str]] = [
    ("riskLsp/lines", None, "params need a uri"),
    ("riskLsp/lines", [1], "params need a uri"),
    ("riskLsp/lines", {"uri": 5}, "params need a uri"),
    ("riskLsp/lines", {"uri": "file:///other"}, "file:///other is not an open document; open it first"),
    ("riskLsp/query", {"uri": URI}, "params need ranges, a list of LSP ranges"),
    ("riskLsp/query", {"uri": URI, "ranges": [{}]}, "ranges[0].start: expected line and character"),
    ("riskLsp/query", {"uri": URI, "ranges": [spanning(0, 0, 0, -1)]}, "ranges[0].end: expected line and"),
]


async def test_params_that_cannot_be_read_are_named(client: LspClient) -> None:
    for method, params, message in UNREADABLE:
        with pytest.raises(ResponseError) as caught:
            await client.request(method, params)
        assert caught.value.code == -32602
        assert message in caught.value.message


async def test_a_document_that_is_not_scored_is_no_crash_but_an_error_with_the_reason(client: LspClient) -> None:
    client.open("file:///large.py", "x" * 101)
    with pytest.raises(ResponseError, match="this document has 101 characters and documents over 100 are not scored"):
        await client.request("riskLsp/lines", {"uri": "file:///large.py"})
