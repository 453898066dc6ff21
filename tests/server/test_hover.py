"""What a hover says."""

from __future__ import annotations

import pytest

from tests.server.lsp_client import LspClient

URI = "file:///work/program.py"
TEXT = "def _solve_(a):\n    x = 1\n\n    return BUG_`x`\n\n\nprint(1)\n"


async def text_at(client: LspClient, line: int) -> str:
    hover = await client.hover(URI, line)
    assert hover is not None
    value = hover["contents"]["value"]
    assert isinstance(value, str)
    return value


async def opened(client: LspClient, dump: str, text: str = TEXT) -> None:
    await client.initialize(dump)
    client.open(URI, text)
    await client.diagnostics(URI, 1)


async def test_in_markdown_names_and_tokens_are_code_and_the_number_stands_out(client: LspClient) -> None:
    await opened(client, "vscode-1.139")
    assert await text_at(client, 3) == (
        "**63%** likely to need an edit, most of it from `return`, `` BUG_`x` ``\n\n"
        "Of lines scored 60\\-65%, 59% were edited, n = 612.\n\n"
        "Function `_solve_`: 63%, document: 63%"
    )


async def test_in_plain_text_nothing_is_marked_up(client: LspClient) -> None:
    await opened(client, "emacs30-eglot")
    assert await text_at(client, 3) == (
        "63% likely to need an edit, most of it from return, BUG_`x`\n"
        "Of lines scored 60-65%, 59% were edited, n = 612.\n"
        "Function _solve_: 63%, document: 63%"
    )


async def test_a_line_without_risk_has_no_tokens_to_name(client: LspClient) -> None:
    await opened(client, "emacs30-eglot")
    assert await text_at(client, 1) == "<1% likely to need an edit\nFunction _solve_: 63%, document: 63%"


async def test_a_blank_line_speaks_of_what_is_around_it(client: LspClient) -> None:
    await opened(client, "emacs30-eglot")
    assert await text_at(client, 2) == "Function _solve_: 63%, document: 63%"
    assert await text_at(client, 5) == "Document: 63%"


async def test_outside_of_functions_only_the_document_is_around(client: LspClient) -> None:
    await opened(client, "emacs30-eglot")
    assert await text_at(client, 6) == "<1% likely to need an edit\nDocument: 63%"


async def test_the_range_is_the_line_without_its_indentation(client: LspClient) -> None:
    await opened(client, "vscode-1.139")
    hover = await client.hover(URI, line=3, character=0)
    assert hover is not None
    assert hover["range"] == {"start": {"line": 3, "character": 4}, "end": {"line": 3, "character": 18}}


@pytest.mark.parametrize("line", [0, 7, 999])
async def test_an_empty_document_and_positions_past_the_end_are_no_problem(client: LspClient, line: int) -> None:
    await opened(client, "emacs30-eglot", "")
    assert await text_at(client, line) == "Document: <1%"


async def test_a_document_that_is_too_large_says_so(client: LspClient) -> None:
    await client.initialize("emacs30-eglot", initializationOptions={"maxCharacters": 1000})
    client.open(URI, "x = 1\n" * 1000)
    assert await client.diagnostics(URI, 1) == []
    assert await text_at(client, 0) == (
        "risk-lsp: this document has 6,000 characters and documents over 1,000 are not scored (setting maxCharacters)"
    )


async def test_a_document_that_is_no_file_says_so(client: LspClient) -> None:
    await client.initialize("emacs30-eglot")
    client.open("git:/work/program.py?HEAD", TEXT)
    hover = await client.hover("git:/work/program.py?HEAD", line=0)
    assert hover is not None
    assert "documents of the kind 'git:' are not scored" in hover["contents"]["value"]


@pytest.mark.parametrize("uri", ["untitled:Untitled-1", "vscode-notebook-cell:/work/book.ipynb#W0"])
async def test_texts_that_were_never_saved_are_scored(client: LspClient, uri: str) -> None:
    await client.initialize()
    client.open(uri, TEXT)
    assert len(await client.diagnostics(uri, 1)) == 1


async def test_a_hover_on_a_document_that_is_not_open_is_empty(client: LspClient) -> None:
    await client.initialize()
    assert await client.hover("file:///other", line=0) is None
