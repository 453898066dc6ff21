"""`riskLsp.explain`: the tokens behind a number, for every client."""

from __future__ import annotations

from pathlib import Path

import pytest

from risk_lsp.probe.calibration import Place
from risk_lsp.repair.model_questions import Explanation, TokenReason
from risk_lsp.risk.presentation import Standing
from risk_lsp.server.features.hover import MARKDOWN, PLAIN_TEXT, explanation_text
from risk_lsp.text.document import Document, Span
from tests.server.lsp_client import LspClient, ResponseError
from tests.server.person import LARGEST, at_line, default_server

URI = "file:///project/largest.py"
RENDERS = {"experimental": {"riskLsp": {"explanation": True}}}
DOCUMENT = Document(URI, 1, "a\nif a_b < `c`:\n", "python")

PERCENT, ORDER = Standing(Place.GENERATED, 2, 40, None), Standing(Place.AT_REST, 2, 40, "not measured")


def reason(seen: float | None, *expected: tuple[str, float], text: str = " <") -> Explanation:
    return Explanation(Span(2, 15), 0.41, (TokenReason(Span(8, 10), text, 0.3, 0.8, seen, expected),))


def test_an_explanation_names_the_token_its_line_and_what_was_expected() -> None:
    assert explanation_text(reason(0.02, (" >", 0.7), ("\n", 0.1)), PERCENT, DOCUMENT, PLAIN_TEXT) == (
        "41% likely to need an edit. The tokens that carry most of it:\n\n"
        "- < in line 2: 30%; the model gave it 2% and expected > (70%), \\n (10%)"
    )


def test_where_only_the_order_is_known_the_explanation_gives_no_chance_of_an_edit() -> None:
    assert explanation_text(reason(0.02, (" >", 0.7)), ORDER, DOCUMENT, MARKDOWN) == (
        "**2nd** of 40 lines to read. The tokens that carry most of it:\n\n"
        "- `<` in line 2: the model gave it 2% and expected `>` (70%)"
    )


def test_code_is_code_in_markdown() -> None:
    assert "- `` `c` `` in line 2: 30%" in explanation_text(reason(None, text="`c`"), PERCENT, DOCUMENT, MARKDOWN)


def test_white_space_can_be_seen_and_long_tokens_end() -> None:
    assert "- '  ' in line 2" in explanation_text(reason(None, text="  "), PERCENT, DOCUMENT, PLAIN_TEXT)
    assert f"- {39 * 'x'}… in line 2" in explanation_text(reason(None, text=99 * "x"), PERCENT, DOCUMENT, PLAIN_TEXT)


def test_a_span_without_tokens_has_a_number_all_the_same() -> None:
    assert (
        explanation_text(Explanation(Span(0, 1), 0.001, ()), PERCENT, DOCUMENT, PLAIN_TEXT)
        == "<1% likely to need an edit"
    )


async def test_a_client_that_renders_answers_gets_no_message(client: LspClient) -> None:
    await client.initialize("vscode-1.139", capabilities=RENDERS)
    client.open(URI, LARGEST)
    answer = await client.execute("riskLsp.explain", URI, at_line(8))
    assert answer["markdown"].startswith("**63%** likely to need an edit. The tokens that carry most of it:\n\n- `")
    assert client.all_of("window/showMessage") == []


async def test_any_other_client_shows_a_message(client: LspClient) -> None:
    await client.initialize("emacs30-eglot")
    client.open(URI, LARGEST)
    await client.execute("riskLsp.explain", URI, at_line(8))
    assert (await client.notification("window/showMessage"))["message"].startswith("risk-lsp: 63% likely to need")


async def test_a_blank_line_has_nothing_to_explain(client: LspClient) -> None:
    await client.initialize()
    client.open(URI, "a = 1\n\n")
    with pytest.raises(ResponseError, match="choose a line or a selection with content"):
        await client.execute("riskLsp.explain", URI, at_line(1))


async def test_the_embedded_model_says_what_it_expected(tmp_path: Path) -> None:
    client = await LspClient.start(default_server(tmp_path))
    await client.initialize("vscode-1.139", capabilities=RENDERS)
    client.open(URI, LARGEST)
    answer = (await client.execute("riskLsp.explain", URI, at_line(8)))["markdown"]
    assert "the model gave it " in answer and " and expected `" in answer
    await client.kill()
