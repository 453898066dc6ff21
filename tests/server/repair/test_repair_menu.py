"""What the menu of code actions offers, which costs nothing until something is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.server.lsp_client import LspClient
from tests.server.person import FAULTY_LINE, LARGEST, at_line

URI = "file:///project/largest.py"
LINE = ["Request a repair of this line", "Explain the risk of this line"]
FUNCTION = ["Request a repair of function largest", "Explain the risk of function largest"]
WHAT_ELSE = ("function largest", "the selection")
HINT = {"experimental": {"riskLsp": {"hint": True}}}


async def all_offered(client: LspClient, place: dict[str, Any], **context: Any) -> list[dict[str, Any]]:
    params = {"textDocument": {"uri": URI}, "range": place, "context": {"diagnostics": [], **context}}
    actions: list[dict[str, Any]] = await client.request("textDocument/codeAction", params)
    return actions


async def offered(client: LspClient, place: dict[str, Any], **context: Any) -> list[dict[str, Any]]:
    """The actions at a place, but for those about ignoring."""
    return [action for action in await all_offered(client, place, **context) if "gnor" not in action["title"]]


def titles(actions: list[dict[str, Any]]) -> list[str]:
    return [action["title"] for action in actions]


async def opened(client: LspClient, text: str = LARGEST, **params: Any) -> list[dict[str, Any]]:
    """Open the faulty file; its diagnostics."""
    await client.initialize("vscode-1.139", **params)
    client.open(URI, text)
    return await client.diagnostics(URI, 1)


async def test_a_line_that_is_pointed_at_and_the_function_around_it(client: LspClient) -> None:
    diagnostics = await opened(client)
    actions = await offered(client, at_line(FAULTY_LINE), diagnostics=diagnostics)
    assert titles(actions) == [*LINE, *FUNCTION]
    assert [action["kind"] for action in actions] == [*["quickfix"] * 2, *["refactor.rewrite"] * 2]
    assert actions[0]["diagnostics"] == diagnostics
    assert actions[0]["command"]["arguments"] == [URI, diagnostics[0]["range"]]
    assert actions[2]["command"]["arguments"][1]["end"] == {"line": 10, "character": 15}


async def test_ignoring_comes_last(client: LspClient) -> None:
    diagnostics = await opened(client, capabilities=HINT)
    found = titles(await all_offered(client, at_line(FAULTY_LINE), diagnostics=diagnostics))
    assert found == [
        *(LINE[0], "Request a repair of this line with a hint...", LINE[1]),
        *(FUNCTION[0], "Request a repair of function largest with a hint...", FUNCTION[1]),
        *("Ignore this line (comment)", "Ignore this line (remember)"),
    ]


async def test_anywhere_in_a_risky_function(client: LspClient) -> None:
    await opened(client)
    assert titles(await offered(client, at_line(0))) == FUNCTION


async def test_nothing_where_nothing_is_risky(client: LspClient) -> None:
    await opened(client, LARGEST.replace("  # BUG", ""))
    assert await offered(client, at_line(0)) == []


async def test_a_selection(client: LspClient) -> None:
    await opened(client)
    place = {"start": {"line": 6, "character": 0}, "end": {"line": 9, "character": 0}}
    actions = await offered(client, place)
    assert titles(actions) == ["Request a repair of the selection", "Explain the risk of the selection"]
    assert actions[1]["command"]["command"] == "riskLsp.explain"
    assert actions[1]["command"]["arguments"] == [URI, place]


async def test_a_cursor_as_wide_as_a_character_is_no_selection(client: LspClient) -> None:
    diagnostics = await opened(client)
    place = {"start": {"line": FAULTY_LINE, "character": 9}, "end": {"line": FAULTY_LINE, "character": 10}}
    assert titles(await offered(client, place, diagnostics=diagnostics)) == [*LINE, *FUNCTION]


async def test_a_hint_can_be_given_for_line_function_and_selection(client: LspClient) -> None:
    diagnostics = await opened(client, capabilities=HINT)
    selection = {"start": {"line": 6, "character": 0}, "end": {"line": 9, "character": 0}}
    found = await offered(client, at_line(FAULTY_LINE), diagnostics=diagnostics) + await offered(client, selection)
    asking = [title for title in titles(found) if "hint" in title]
    assert asking == [f"Request a repair of {what} with a hint..." for what in ("this line", *WHAT_ELSE)]


async def test_only_a_client_that_can_ask_for_a_hint_offers_that(client: LspClient) -> None:
    await opened(client, capabilities=HINT)
    wanted = ["Request a repair of function largest with a hint..."]
    assert titles(await offered(client, at_line(0)))[1:2] == wanted


async def test_without_trust_the_menu_says_why_no_tests_run(client: LspClient) -> None:
    await opened(client, initializationOptions={"trusted": False}, capabilities=HINT)
    for title in titles(await offered(client, at_line(0)))[:2]:
        assert title.endswith(" (runs no tests: this workspace is not trusted)")


async def test_other_languages_are_explained_but_not_repaired(client: LspClient) -> None:
    await client.initialize("vscode-1.139")
    client.open(URI, "let a = 1; // BUG\n", language_id="javascript")
    diagnostics = await client.diagnostics(URI, 1)
    assert titles(await offered(client, at_line(0), diagnostics=diagnostics)) == LINE[1:]


async def test_the_kinds_that_a_client_asks_for(client: LspClient) -> None:
    diagnostics = await opened(client)
    place = at_line(FAULTY_LINE)
    assert titles(await offered(client, place, diagnostics=diagnostics, only=["refactor"])) == FUNCTION
    assert titles(await offered(client, place, diagnostics=diagnostics, only=["quickfix"])) == LINE
    assert await offered(client, place, diagnostics=diagnostics, only=["refactor.extract"]) == []


async def test_the_menu_does_not_wait_for_the_model(client: LspClient, tmp_path: Path) -> None:
    await client.initialize("vscode-1.139")
    client.open(URI, LARGEST + "# STALL\n")
    place = {"start": {"line": 6, "character": 0}, "end": {"line": 9, "character": 0}}
    assert len(await offered(client, place)) == 2
    assert client.all_of("textDocument/publishDiagnostics") == []
    (tmp_path / "release").touch()


async def test_nothing_is_offered_while_turned_off(client: LspClient) -> None:
    await client.initialize("vscode-1.139", initializationOptions={"enabled": False})
    client.open(URI, LARGEST)
    place = {"start": {"line": 6, "character": 0}, "end": {"line": 9, "character": 0}}
    assert await offered(client, place) == []
