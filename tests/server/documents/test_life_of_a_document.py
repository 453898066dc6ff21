"""Which lines are shown, where, and with what, from opening a document to closing it."""

from __future__ import annotations

import pytest

from tests.server.lsp_client import LspClient

URI = "file:///project/program.py"
TEXT = "def f(a):\n    return a  # BUG here\n\nprint(f(1))\n"


async def test_diagnostics_follow_the_document(client: LspClient) -> None:
    await client.initialize(initializationOptions={"debounce": 0.0})
    client.open(URI, TEXT, version=7)
    (diagnostic,) = await client.diagnostics(URI, 7)
    assert diagnostic["range"] == {"start": {"line": 1, "character": 4}, "end": {"line": 1, "character": 24}}
    assert diagnostic["message"] == "63% likely to need an edit"
    assert (diagnostic["severity"], diagnostic["source"], diagnostic["code"]) == (4, "risk-lsp", "likely-edit")

    inserted = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}
    client.change(URI, 8, {"range": inserted, "text": "import os\n\n"})
    (moved,) = await client.diagnostics(URI, 8)
    assert moved["range"]["start"] == {"line": 3, "character": 4}

    client.close(URI)
    assert await client.diagnostics(URI, None) == []
    assert await client.shut_down() == 0


async def test_data_holds_probability_offsets_and_driving_tokens(client: LspClient) -> None:
    await client.initialize()
    client.open(URI, TEXT)
    (diagnostic,) = await client.diagnostics(URI, 1)
    data = diagnostic["data"]
    assert data["probability"] == 0.6321
    assert TEXT[data["start"] : data["end"]] == "return a  # BUG here"
    assert data["tokens"][0]["start"]["line"] == 1
    assert len(data["tokens"]) == 3


async def test_only_the_likeliest_lines_at_or_above_the_threshold_are_shown(client: LspClient) -> None:
    await client.initialize(initializationOptions={"maxDiagnostics": 2, "threshold": 0.2})
    client.open(URI, "MAYBE\nBUG\nMAYBE\nfine\nBUG\n")
    assert [each["range"]["start"]["line"] for each in await client.diagnostics(URI, 1)] == [1, 4]


async def test_a_program_without_risk_gets_an_empty_set(client: LspClient) -> None:
    await client.initialize()
    client.open(URI, "x = 1\n")
    assert await client.diagnostics(URI, 1) == []


@pytest.mark.parametrize("dump", ["nvim-0.12", "vscode-1.139", "emacs30-eglot"])
async def test_ranges_are_on_the_right_characters_in_every_encoding(client: LspClient, dump: str) -> None:
    encoding = (await client.initialize(dump, initializationOptions={"debounce": 0.0}))["positionEncoding"]
    lines = ["\f# 🐍🐍 page", "  s = '🐍é'  # BUG 🐛  ", "t = '\u2028'", "🐛 BUG\x85"]
    client.open(URI, "\r\n".join(lines))
    found = [(each["range"]["start"], each["range"]["end"]) for each in await client.diagnostics(URI, 1)]
    assert [lines[start["line"]] and cut(lines, start, end, encoding) for start, end in found] == [
        "s = '🐍é'  # BUG 🐛",
        "🐛 BUG",
    ]


async def test_edits_after_characters_that_take_several_units_land_where_the_client_meant(client: LspClient) -> None:
    encoding = (await client.initialize("nvim-0.12", initializationOptions={"debounce": 0.0}))["positionEncoding"]
    client.open(URI, "\fa = '🐍'\rb = 2")
    await client.diagnostics(URI, 1)
    column = units("\fa = '🐍'", encoding)
    at = {"line": 0, "character": column}
    client.change(URI, 2, {"range": {"start": at, "end": at}, "text": "  # BUG"})
    (diagnostic,) = await client.diagnostics(URI, 2)
    assert diagnostic["range"]["end"] == {"line": 0, "character": column + len("  # BUG")}


def cut(lines: list[str], start: dict[str, int], end: dict[str, int], encoding: str) -> str:
    """What a client of this encoding underlines."""
    assert start["line"] == end["line"]
    size = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    codec = encoding if encoding == "utf-8" else f"{encoding}-le"
    return lines[start["line"]].encode(codec)[start["character"] * size : end["character"] * size].decode(codec)


def units(text: str, encoding: str) -> int:
    """How many units the text takes."""
    size = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    return len(text.encode(encoding if encoding == "utf-8" else f"{encoding}-le")) // size
