"""Files of a real repository at a real server: percentages where they were measured, an order elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.risk.repositories import Repository
from tests.server.lsp_client import LspClient

TEXT = "def f(x):\n    y = BUG\n    return MAYBE\n\n\nprint(f(1))\n"
WHY = "how often lines of code at rest need an edit was not measured"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """One committed program in a.py."""
    made = Repository(tmp_path / "repository")
    made.commit(a=TEXT)
    return made


async def opened(client: LspClient, path: Path, dump: str = "emacs30-eglot", **settings: Any) -> str:
    """Shake hands and open a file; its URI."""
    await client.initialize(dump, initializationOptions=settings)
    client.open(path.as_uri(), path.read_text())
    return path.as_uri()


async def hovered(client: LspClient, uri: str, line: int) -> str:
    await client.diagnostics(uri, 1)
    hover = await client.hover(uri, line=line, character=4)
    assert hover is not None
    return str(hover["contents"]["value"])


async def test_a_tracked_file_is_read_in_order(client: LspClient, repository: Repository) -> None:
    uri = await opened(client, repository.folder / "a.py")
    (hint,) = await client.diagnostics(uri, 1)

    assert hint["message"] == "1st of 4 lines to read"
    said = {name: hint["data"][name] for name in ("gives", "rank", "of", "place", "why")}
    assert said == {"gives": "order", "rank": 1, "of": 4, "place": "at_rest", "why": WHY}
    assert await hovered(client, uri, 1) == (
        "Most of what makes it the 1st comes from y, =, BUG\nFunction f: 1st of 1 function to read\n"
        f"No percentage: {WHY}."
    )


async def test_a_line_that_has_no_hint_is_ranked_all_the_same(client: LspClient, repository: Repository) -> None:
    uri = await opened(client, repository.folder / "a.py")

    assert (await hovered(client, uri, 2)).startswith("2nd of 4 lines to read, most of it from return, MAYBE\n")


async def test_a_blank_line_of_a_tracked_file_has_no_number_for_the_document(
    client: LspClient, repository: Repository
) -> None:
    uri = await opened(client, repository.folder / "a.py")

    assert await hovered(client, uri, 4) == f"No percentage: {WHY}."


async def test_an_untracked_file_has_percentages(client: LspClient, repository: Repository) -> None:
    uri = await opened(client, repository.write("new.py", TEXT))
    (hint,) = await client.diagnostics(uri, 1)

    assert hint["message"] == "63% likely to need an edit"
    assert (hint["data"]["gives"], hint["data"]["place"]) == ("percent", "generated")
    assert "Document: " in await hovered(client, uri, 4)


async def test_a_changed_line_says_that_it_is_one(client: LspClient, repository: Repository) -> None:
    uri = await opened(client, repository.write("a.py", TEXT.replace("y = BUG", "z = BUG")))
    answer = await client.request("riskLsp/lines", {"uri": uri})

    assert answer["places"] == ["at_rest", "changed", *["at_rest"] * 5]
    assert answer["labels"] == ["3rd", "1st", "2nd", None, None, "4th", None]
    assert set(answer["orders"]) == {"at_rest", "changed"}
    assert "how often changed lines need an edit was not measured" in await hovered(client, uri, 1)


async def test_a_selection_has_the_rank_of_its_first_line_to_read(client: LspClient, repository: Repository) -> None:
    uri = await opened(client, repository.folder / "a.py")
    whole = {"start": {"line": 2, "character": 0}, "end": {"line": 5, "character": 0}}
    answer = await client.request("riskLsp/query", {"uri": uri, "ranges": [whole]})

    assert answer["sentences"] == ["2nd of 4 lines to read"]
    assert answer["standings"][0]["gives"] == "order"


async def test_committed_code_shows_one_hint_for_fifty_lines(client: LspClient, repository: Repository) -> None:
    repository.commit(a="BUG\n" * 60)
    uri = await opened(client, repository.folder / "a.py")

    assert len(await client.diagnostics(uri, 1)) == 2


async def test_a_function_that_is_marked_as_generated_has_percentages(
    client: LspClient, repository: Repository
) -> None:
    uri = await opened(client, repository.folder / "a.py")
    await client.diagnostics(uri, 1)
    before = len(client.received)
    lines = {"start": {"line": 0, "character": 0}, "end": {"line": 2, "character": 10}}
    await client.execute("riskLsp.markGenerated", uri, lines)
    (hint,) = await client.diagnostics(uri, 1, after=before)

    assert hint["message"] == "63% likely to need an edit"
    assert "Function f: 71%" in await hovered(client, uri, 2)


async def test_a_save_after_a_commit_puts_the_text_at_rest(client: LspClient, repository: Repository) -> None:
    path = repository.write("new.py", TEXT)
    uri = await opened(client, path)
    await client.diagnostics(uri, 1)
    before = len(client.received)
    repository.git("add", "--all")
    repository.git("commit", "-q", "-m", "reviewed")
    client.notify("textDocument/didSave", {"textDocument": {"uri": uri}})

    assert (await client.diagnostics(uri, 1, after=before))[0]["message"] == "1st of 4 lines to read"


async def test_the_server_asks_to_hear_of_saves(client: LspClient) -> None:
    assert (await client.initialize())["textDocumentSync"]["save"] is True


async def test_without_trust_git_is_not_run_and_with_it_it_is(client: LspClient, repository: Repository) -> None:
    uri = await opened(client, repository.folder / "a.py", trusted=False)
    assert (await client.diagnostics(uri, 1))[0]["message"] == "63% likely to need an edit"
    before = len(client.received)
    client.notify("riskLsp/userSettings", {"trusted": True})

    ranks = [message["params"] for message in client.received[before:]]
    while not any("1st" in str(each) for each in ranks):
        await client.notification("textDocument/publishDiagnostics", after=before)
        before = len(client.received)
        ranks = client.all_of("textDocument/publishDiagnostics")
    assert ranks[-1]["diagnostics"][0]["message"] == "1st of 4 lines to read"


async def test_the_setting_outweighs_git(client: LspClient, repository: Repository) -> None:
    uri = await opened(client, repository.folder / "a.py", placeOfText="generated")

    assert (await client.diagnostics(uri, 1))[0]["message"] == "63% likely to need an edit"


async def test_what_is_written_into_the_text_is_in_order_too(client: LspClient, repository: Repository) -> None:
    uri = await opened(client, repository.folder / "a.py", "vscode-1.139", inlayHints=True, codeLens=True)
    await client.diagnostics(uri, 1)
    document = {"textDocument": {"uri": uri}}
    everything = {"start": {"line": 0, "character": 0}, "end": {"line": 99, "character": 0}}
    (hint,) = await client.request("textDocument/inlayHint", {**document, "range": everything})
    (lens,) = await client.request("textDocument/codeLens", document)

    assert (hint["label"], hint["tooltip"]) == ("1st", "of 4 lines to read")
    assert lens["command"]["title"] == "1st of 1 function to read"


async def test_the_report_of_a_tracked_file_gives_no_percentage_for_its_lines(
    client: LspClient, repository: Repository
) -> None:
    uri = await opened(client, repository.folder / "a.py")
    html = (await client.execute("riskLsp.report", uri))["html"]

    assert "Lines in the order to read" in html and WHY in html
