"""What a hover says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.server.lsp_client import LspClient, server_command

pytestmark = pytest.mark.asyncio(loop_scope="module")

URI = "file:///project/program.py"
TEXT = "def _solve_(a):\n    x = 1\n\n    return BUG_`x`\n\n\nprint(1)\n"


async def serve(folder: Path, dump: str) -> AsyncIterator[LspClient]:
    """One server for the tests of this file, with the program above open."""
    client = await LspClient.start(server_command(folder))
    await client.initialize(dump, initializationOptions={"maxCharacters": 1000})
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    yield client
    await client.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LspClient]:
    """A client that shows plain text."""
    async for connected in serve(tmp_path_factory.mktemp("plain"), "emacs30-eglot"):
        yield connected


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def markdown_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LspClient]:
    """A client that shows markdown."""
    async for connected in serve(tmp_path_factory.mktemp("markdown"), "vscode-1.139"):
        yield connected


async def text_at(client: LspClient, line: int, uri: str = URI) -> str:
    hover = await client.hover(uri, line)
    assert hover is not None
    value = hover["contents"]["value"]
    assert isinstance(value, str)
    return value


async def test_in_markdown_names_and_tokens_are_code_and_the_number_stands_out(markdown_client: LspClient) -> None:
    assert await text_at(markdown_client, 3) == (
        "Most of the **63%** chance of an edit comes from `return`, `` BUG_`x` ``\n\n"
        "Of lines scored 60-65%, 59% were edited, n = 612.\n\n"
        "Function `_solve_`: 63%, document: 63%"
    )


async def test_in_plain_text_nothing_is_marked_up(client: LspClient) -> None:
    assert await text_at(client, 3) == (
        "Most of the 63% chance of an edit comes from return, BUG_`x`\n"
        "Of lines scored 60-65%, 59% were edited, n = 612.\n"
        "Function _solve_: 63%, document: 63%"
    )


async def test_a_line_without_a_diagnostic_is_told_in_full(client: LspClient) -> None:
    uri = "file:///project/maybe.py"
    client.open(uri, "a = MAYBE\n")
    assert await client.diagnostics(uri, 1) == []
    assert (await text_at(client, 0, uri)).startswith("22% likely to need an edit, most of it from ")


async def test_a_line_without_risk_has_no_tokens_to_name(client: LspClient) -> None:
    assert await text_at(client, 1) == "<1% likely to need an edit\nFunction _solve_: 63%, document: 63%"


async def test_a_blank_line_speaks_of_what_is_around_it(client: LspClient) -> None:
    assert await text_at(client, 2) == "Function _solve_: 63%, document: 63%"
    assert await text_at(client, 5) == "Document: 63%"


async def test_outside_of_functions_only_the_document_is_around(client: LspClient) -> None:
    assert await text_at(client, 6) == "<1% likely to need an edit\nDocument: 63%"


async def test_the_range_is_the_line_without_its_indentation(client: LspClient) -> None:
    hover = await client.hover(URI, line=3, character=0)
    assert hover is not None
    assert hover["range"] == {"start": {"line": 3, "character": 4}, "end": {"line": 3, "character": 18}}


async def test_an_empty_document_and_positions_past_the_end_are_no_problem(client: LspClient) -> None:
    client.open("file:///empty.py", "")
    await client.diagnostics("file:///empty.py", 1)
    assert {await text_at(client, line, "file:///empty.py") for line in (0, 7, 999)} == {"Document: <1%"}


async def test_a_document_that_is_too_large_says_so(client: LspClient) -> None:
    client.open("file:///large.py", "x = 1\n" * 1000)
    assert await client.diagnostics("file:///large.py", 1) == []
    assert await text_at(client, 0, "file:///large.py") == (
        "risk-lsp: this document has 6,000 characters and documents over 1,000 are not scored (setting maxCharacters)"
    )


async def test_prose_is_not_scored_and_says_so(client: LspClient) -> None:
    client.open("file:///notes.md", "The lines is long.\n", language_id="markdown")
    assert await client.diagnostics("file:///notes.md", 1) == []
    assert "it is prose, in which slips are found hardly better than by chance" in await text_at(
        client, 0, "file:///notes.md"
    )


async def test_a_document_that_is_no_file_says_so(client: LspClient) -> None:
    client.open("git:/project/program.py?HEAD", TEXT)
    hover = await client.hover("git:/project/program.py?HEAD", line=0)
    assert hover is not None
    assert "documents of the kind 'git:' are not scored" in hover["contents"]["value"]


@pytest.mark.parametrize("uri", ["untitled:Untitled-1", "vscode-notebook-cell:/project/book.ipynb#W0"])
async def test_texts_that_were_never_saved_are_scored(client: LspClient, uri: str) -> None:
    client.open(uri, TEXT)
    assert len(await client.diagnostics(uri, 1)) == 1


async def test_a_hover_on_a_document_that_is_not_open_is_empty(client: LspClient) -> None:
    assert await client.hover("file:///other", line=0) is None
