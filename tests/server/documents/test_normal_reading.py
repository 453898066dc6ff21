"""Over stdio, with a bundle that reads the normal form: a comment is no reason to run the model or to move a number."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.probe.tiny import SAMPLE, save_model, save_tiny_bundle
from tests.server.lsp_client import LspClient

URI = "file:///project/program.py"
COMMENT_LINE = 2
TEXT = SAMPLE.replace("    best = None\n", "    best = None\n    # so far\n")
_SERVE = """
import sys
from risk_lsp.server.app import *
worker = (sys.executable, "-m", "tests.server.counting_worker", *sys.argv[1:])
sys.exit(run_stdio(ServerOptions(), command=worker))
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("normal")
    return save_tiny_bundle(folder / "bundle", save_model(folder / "model"), reading="normal-1")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
async def client(bundle: Path, notes: Path) -> AsyncIterator[LspClient]:
    """A client with the program open and scored."""
    connected = await LspClient.start([sys.executable, "-c", _SERVE, str(bundle), str(notes)])
    await connected.initialize("emacs30-eglot", initializationOptions={"threshold": 0.0, "maxDiagnostics": 100})
    connected.open(URI, TEXT)
    await connected.diagnostics(URI, 1)
    yield connected
    await connected.kill()


async def lines_of(client: LspClient) -> list[float | None]:
    answer = await client.request("riskLsp/lines", {"uri": URI})
    lines = answer["lines"]
    assert isinstance(lines, list)
    return lines


async def whole_of(client: LspClient, version: int, text: str) -> float:
    """The document's number, after its diagnostics of that version were published."""
    await client.diagnostics(URI, version)
    end = {"line": len(text.splitlines()), "character": 0}
    query = {"uri": URI, "ranges": [{"start": {"line": 0, "character": 0}, "end": end}]}
    (probability,) = (await client.request("riskLsp/query", query))["probabilities"]
    assert isinstance(probability, float)
    return probability


def insertion(line: int, text: str) -> dict[str, Any]:
    place = {"line": line, "character": 0}
    return {"range": {"start": place, "end": place}, "text": text}


async def test_editing_a_comment_runs_no_token_and_moves_no_number(client: LspClient, notes: Path) -> None:
    before, whole = await lines_of(client), await whole_of(client, 1, TEXT)
    place = {"line": COMMENT_LINE, "character": len("    # so")}
    client.change(URI, 2, {"range": {"start": place, "end": place}, "text": "me of them"})
    after = await whole_of(client, 2, TEXT)

    first, second = notes.read_text("ascii").split()
    assert int(first) == int(second) > 0
    assert (await lines_of(client), after) == (before, whole)


async def test_lines_of_comments_in_front_move_numbers_to_where_their_code_is_now(client: LspClient) -> None:
    before, whole = await lines_of(client), await whole_of(client, 1, TEXT)
    licence = "# Copyright\n" * 60
    client.change(URI, 2, insertion(0, licence))

    assert await whole_of(client, 2, licence + TEXT) == whole
    assert await lines_of(client) == [None] * 60 + before


async def test_a_comment_has_no_number_and_its_hover_says_why(client: LspClient) -> None:
    hover = await client.hover(URI, COMMENT_LINE, character=6)

    assert (await lines_of(client))[COMMENT_LINE] is None
    assert hover is not None
    assert hover["contents"]["value"].startswith("The model does not read comments.\nFunction largest: ")


async def test_a_hint_stands_on_the_code_it_is_about(client: LspClient) -> None:
    client.change(URI, 2, insertion(0, "# one\n\n# two\n"), insertion(5, "# three\n"))
    diagnostics = await client.diagnostics(URI, 2)

    code = [line for line, text in enumerate(("\n" * 3 + TEXT).splitlines()) if text.strip()]
    assert sorted(each["range"]["start"]["line"] for each in diagnostics) == [
        line + (line >= 5) for line in code if line != COMMENT_LINE + 3
    ]
