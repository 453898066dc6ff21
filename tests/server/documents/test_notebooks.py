"""Notebooks: the Python cells are scored in order as one document, and everything is shown per cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.server.documents.test_life_of_a_document import cut
from tests.server.features.test_ignoring import about_ignoring
from tests.server.lsp_client import LspClient, ResponseError
from tests.server.test_settings_in_force import reconfigure, runs

NOTEBOOK = "file:///project/study.ipynb"
PUBLISH = "textDocument/publishDiagnostics"
CODE, TEXT = 2, 1


def uri_of(name: str) -> str:
    return f"vscode-notebook-cell:/project/study.ipynb#{name}"


def cell(name: str, kind: int = CODE) -> dict[str, Any]:
    return {"kind": kind, "document": uri_of(name)}


def item(name: str, text: str, language: str = "python") -> dict[str, Any]:
    return {"uri": uri_of(name), "languageId": language, "version": 1, "text": text}


def open_notebook(client: LspClient, texts: dict[str, str]) -> None:
    """Open a notebook; a cell with the name "title" is one of text."""
    cells = [cell(name, TEXT if name == "title" else CODE) for name in texts]
    items = [item(name, text, "markdown" if name == "title" else "python") for name, text in texts.items()]
    notebook = {"uri": NOTEBOOK, "notebookType": "jupyter-notebook", "version": 1, "cells": cells}
    client.notify("notebookDocument/didOpen", {"notebookDocument": notebook, "cellTextDocuments": items})


def change_notebook(client: LspClient, version: int, **cells: Any) -> None:
    """Send one change of `structure`, `data` or `textContent`."""
    identifier = {"uri": NOTEBOOK, "version": version}
    client.notify("notebookDocument/didChange", {"notebookDocument": identifier, "change": {"cells": cells}})


def splice(start: int, removed: int, *cells: dict[str, Any], **texts: Any) -> dict[str, Any]:
    return {"array": {"start": start, "deleteCount": removed, "cells": list(cells)}, **texts}


def edit_cell(client: LspClient, version: int, name: str, *changes: dict[str, Any]) -> None:
    """Edit a cell in a notebook of as many versions."""
    document = {"uri": uri_of(name), "version": version}
    change_notebook(client, version, textContent=[{"document": document, "changes": list(changes)}])


def insertion(line: int, character: int, text: str) -> dict[str, Any]:
    at = {"line": line, "character": character}
    return {"range": {"start": at, "end": at}, "text": text}


async def shown(client: LspClient, name: str, version: int | None = 1, after: int = 0) -> list[int]:
    """The lines of a cell with a diagnostic."""
    published = await client.diagnostics(uri_of(name), version, after)
    return [each["range"]["start"]["line"] for each in published]


async def lines(client: LspClient, name: str) -> list[bool | None]:
    """For each line of a cell, whether there is a risk."""
    answer = await client.request("riskLsp/lines", {"uri": uri_of(name)})
    assert len(answer["steps"]) == len(answer["lines"])
    return [None if probability is None else probability > 0.5 for probability in answer["lines"]]


async def start(client: LspClient, dump: str = "emacs30-eglot", pull: bool = False, **options: Any) -> None:
    await client.initialize(dump, pull=pull, initializationOptions={"debounce": 0.0, **options})


async def test_the_server_says_which_cells_it_wants(client: LspClient) -> None:
    sync = (await client.initialize())["notebookDocumentSync"]
    assert sync == {"notebookSelector": [{"notebook": "*", "cells": [{"language": "python"}]}], "save": True}


async def test_a_notebook_is_scored_once_as_one_text_and_shown_by_cell(client: LspClient, tmp_path: Path) -> None:
    await start(client)
    open_notebook(client, {"a": "x = 1", "title": "# BUG", "b": "%time y\nz = x  # BUG\n", "c": "fine"})
    assert [await shown(client, name) for name in "abc"] == [[], [1], []]
    assert (
        tmp_path / "runs"
    ).read_text() == f"{'x = 1' + chr(10) + '#time y' + chr(10) + 'z = x  # BUG' + chr(10) * 2 + 'fine'!r}\n"
    assert {params["uri"] for params in client.all_of(PUBLISH)} == {uri_of(name) for name in "abc"}


async def test_questions_about_a_cell_are_answered_in_its_own_lines(client: LspClient) -> None:
    await start(client, inlayHints=True, codeLens=True)
    open_notebook(client, {"a": "def f():\n    return 1", "b": "def g():\n    return 2  # BUG\n"})
    assert await shown(client, "b") == [1]
    assert [await lines(client, name) for name in "ab"] == [[False, False], [False, True, None]]
    everything = {"start": {"line": 0, "character": 0}, "end": {"line": 99, "character": 0}}
    for name, is_risky in (("a", False), ("b", True)):
        answer = await client.request("riskLsp/query", {"uri": uri_of(name), "ranges": [everything]})
        assert (answer["version"], answer["probabilities"][0] > 0.5) == (1, is_risky)
        document = {"textDocument": {"uri": uri_of(name)}}
        hints = await client.request("textDocument/inlayHint", {**document, "range": everything})
        assert [hint["position"] for hint in hints] == [{"line": 1, "character": 19}] * is_risky
        (lens,) = await client.request("textDocument/codeLens", document)
        assert lens["range"]["start"] == {"line": 0, "character": 0}
    hover = await client.hover(uri_of("b"), line=1)
    assert hover is not None and hover["range"]["start"] == {"line": 1, "character": 4}
    assert "Function g: 63%, document: 63%" in hover["contents"]["value"]


async def test_cells_are_edited_in_place_and_the_ones_around_stay_right(client: LspClient, tmp_path: Path) -> None:
    await start(client)
    open_notebook(client, {"a": "x = 1", "b": "y = 2\nz = 3"})
    await shown(client, "b")
    edit_cell(client, 2, "a", insertion(0, 5, "\nw = 0  # BUG"), insertion(0, 0, "\n"))
    assert await shown(client, "a", 2) == [2]
    seen = len(client.received)
    edit_cell(client, 3, "b", insertion(1, 5, "  # BUG"))
    assert await shown(client, "b", 3, seen) == [1]
    assert await shown(client, "a", 2, seen) == [2]
    assert (tmp_path / "runs").read_text().splitlines()[-1] == repr("\nx = 1\nw = 0  # BUG\ny = 2\nz = 3  # BUG")


async def test_cells_come_go_and_move(client: LspClient) -> None:
    await start(client)
    open_notebook(client, {"a": "x = 1", "b": "y = 2  # BUG"})
    assert await shown(client, "b") == [0]
    added = splice(1, 0, cell("c"), didOpen=[item("c", "z = 3  # BUG")])
    change_notebook(client, 2, structure=added)
    assert await shown(client, "c") == [0]
    seen = len(client.received)
    change_notebook(client, 3, structure=splice(0, 2, cell("c"), cell("a")))
    assert [await shown(client, name, 1, seen) for name in "abc"] == [[], [0], [0]]
    change_notebook(client, 4, structure=splice(2, 1, didClose=[{"uri": uri_of("b")}]))
    assert await client.diagnostics(uri_of("b"), None) == []
    assert await lines(client, "a") == [False]


async def test_a_cell_that_becomes_text_is_cleared(client: LspClient) -> None:
    await start(client)
    open_notebook(client, {"a": "x = 1  # BUG", "b": "y = 2"})
    assert await shown(client, "a") == [0]
    change_notebook(client, 2, data=[cell("a", TEXT)])
    assert await client.diagnostics(uri_of("a"), None) == []
    assert await client.hover(uri_of("a"), line=0) is None
    with pytest.raises(ResponseError, match="is a cell without Python") as caught:
        await lines(client, "a")
    assert caught.value.code == -32803
    seen = len(client.received)
    change_notebook(client, 3, data=[cell("a", CODE)])
    assert await shown(client, "a", 1, seen) == [0]


async def test_results_saving_and_text_cells_run_no_model(client: LspClient, tmp_path: Path) -> None:
    await start(client)
    open_notebook(client, {"a": "x = 1", "title": "# Study"})
    await shown(client, "a")
    change_notebook(client, 2, data=[{**cell("a"), "executionSummary": {"executionOrder": 1, "success": True}}])
    client.notify("notebookDocument/didSave", {"notebookDocument": {"uri": NOTEBOOK}})
    edit_cell(client, 3, "title", insertion(0, 2, "The "))
    assert await lines(client, "a") == [False]
    assert runs(tmp_path) == 1


async def test_closing_a_notebook_clears_its_cells(client: LspClient) -> None:
    await start(client)
    open_notebook(client, {"a": "x = 1  # BUG", "b": "y = 2"})
    await shown(client, "a")
    cells = [{"uri": uri_of(name)} for name in "ab"]
    client.notify("notebookDocument/didClose", {"notebookDocument": {"uri": NOTEBOOK}, "cellTextDocuments": cells})
    assert [await client.diagnostics(uri_of(name), None) for name in "ab"] == [[], []]
    with pytest.raises(ResponseError, match="is not an open document"):
        await lines(client, "a")


@pytest.mark.parametrize("dump", ["nvim-0.12", "vscode-1.139", "emacs30-eglot"])
async def test_ranges_in_cells_are_on_the_right_characters_in_every_encoding(client: LspClient, dump: str) -> None:
    encoding = (await client.initialize(dump, initializationOptions={"debounce": 0.0}))["positionEncoding"]
    content = ["\f# 🐍🐍 page", "  s = '🐍é'  # BUG 🐛  "]
    open_notebook(client, {"a": "t = '🐍'\r", "b": "\r\n".join(content)})
    (found,) = await client.diagnostics(uri_of("b"), 1)
    assert cut(content, found["range"]["start"], found["range"]["end"], encoding) == "s = '🐍é'  # BUG 🐛"
    data = found["data"]
    assert "\r\n".join(content)[data["start"] : data["end"]] == "s = '🐍é'  # BUG 🐛"


async def test_a_client_that_pulls_is_answered_by_cell_and_told_of_the_others(client: LspClient) -> None:
    await start(client, pull=True, dump="vscode-1.139")
    open_notebook(client, {"a": "x = 1", "b": "y = 2  # BUG"})

    async def pull(name: str) -> list[int]:
        report = await client.request("textDocument/diagnostic", {"textDocument": {"uri": uri_of(name)}})
        return [each["range"]["start"]["line"] for each in report["items"]]

    assert [await pull(name) for name in "ab"] == [[], [0]]
    seen = len(client.received)
    edit_cell(client, 2, "b", insertion(0, 0, "\n"))
    assert await pull("b") == [1]
    await client.notification("workspace/diagnostic/refresh", seen)
    assert client.all_of(PUBLISH) == []


async def test_a_line_of_a_cell_is_ignored_by_a_comment_or_by_being_remembered(client: LspClient) -> None:
    await start(client, dump="vscode-1.139")
    open_notebook(client, {"a": "x = 1", "b": "\ny = 2  # BUG"})
    (diagnostic,) = await client.diagnostics(uri_of("b"), 1)
    context = {"diagnostics": [diagnostic]}
    asked = {"textDocument": {"uri": uri_of("b")}, "range": diagnostic["range"], "context": context}
    comment, remember = about_ignoring(await client.request("textDocument/codeAction", asked))
    (change,) = comment["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": uri_of("b"), "version": 1}
    assert change["edits"][0]["range"]["start"] == {"line": 1, "character": 12}
    seen = len(client.received)
    await client.execute(remember["command"]["command"], *remember["command"]["arguments"])
    assert await shown(client, "b", 1, seen) == []
    (stop,) = about_ignoring(await client.request("textDocument/codeAction", {**asked, "context": {"diagnostics": []}}))
    seen = len(client.received)
    assert await client.execute(stop["command"]["command"], *stop["command"]["arguments"]) is True
    assert await shown(client, "b", 1, seen) == [1]
    with pytest.raises(ResponseError, match="line 2 is not there"):
        await client.execute("riskLsp.ignoreLine", uri_of("a"), 1, "stored")


async def test_a_cell_that_appears_at_once_counts_as_generated(client: LspClient) -> None:
    await start(client, scope="generated")
    open_notebook(client, {"a": "x = 1  # BUG"})
    assert await shown(client, "a") == []
    written = "".join(f"value_{n} = compute_something_new({n})\n" for n in range(4)) + "z = 3  # BUG"
    change_notebook(client, 2, structure=splice(0, 0, cell("b"), didOpen=[item("b", written)]))
    assert await shown(client, "b") == [4]
    edit_cell(client, 3, "a", insertion(0, 0, "\n"))
    assert await shown(client, "a", 3) == []


async def test_each_cell_is_announced_and_shown_again_after_a_pause(client: LspClient) -> None:
    own = {"experimental": {"riskLsp": {"status": True, "analysed": True}}}
    await client.initialize("emacs30-eglot", capabilities=own)
    open_notebook(client, {"a": "x = 1", "b": "y = 2  # BUG"})
    assert await shown(client, "b") == [0]
    await client.message(lambda m: m.get("method") == "riskLsp/analysed" and m["params"]["uri"] == uri_of("b"))
    assert client.all_of("riskLsp/analysed") == [{"uri": uri_of(name), "version": 1} for name in "ab"]
    seen = len(client.received)
    await client.execute("riskLsp.snooze", 30)
    assert await shown(client, "b", 1, seen) == []
    seen = len(client.received)
    await client.execute("riskLsp.snooze", 0)
    await client.message(lambda m: m.get("method") == PUBLISH and m["params"]["diagnostics"] != [], seen)


async def test_settings_hold_for_the_notebook_as_a_whole(client: LspClient) -> None:
    await start(client, maxDiagnostics=1)
    open_notebook(client, {"a": "x = 1  # BUG", "b": "y = 2  # BUG"})
    assert [await shown(client, name) for name in "ab"] == [[0], []]
    seen = await reconfigure(client, {"maxDiagnostics": 9})
    assert [await shown(client, name, 1, seen) for name in "ab"] == [[0], [0]]
    seen = await reconfigure(client, {"maxCharacters": 20})
    assert [await shown(client, name, 1, seen) for name in "ab"] == [[], []]
    hover = await client.hover(uri_of("a"), line=0)
    assert hover is not None and "this document has 25 characters" in hover["contents"]["value"]


async def test_the_report_of_a_cell_is_that_of_the_notebook(client: LspClient) -> None:
    await start(client)
    open_notebook(client, {"a": "x = 1", "b": "y = 2  # BUG"})
    html = (await client.execute("riskLsp.report", uri_of("a")))["html"]
    assert "study.ipynb" in html and "BUG" in html


async def test_cells_that_are_opened_as_texts_alone_are_texts_of_their_own(client: LspClient, tmp_path: Path) -> None:
    await start(client)
    client.open(uri_of("a"), "x = 1")
    client.open(uri_of("b"), "y = 2  # BUG")
    assert [await shown(client, name) for name in "ab"] == [[], [0]]
    assert runs(tmp_path) == 2


async def test_texts_that_turn_out_to_be_cells_are_taken_over_and_not_opened_again(client: LspClient) -> None:
    await start(client)
    client.open(uri_of("b"), "y = 2  # BUG")
    assert await shown(client, "b") == [0]
    seen = len(client.received)
    open_notebook(client, {"a": "x = 1", "b": "\ny = 2  # BUG"})
    assert await client.diagnostics(uri_of("b"), None) == []
    assert await shown(client, "b", 1, seen) == [1]
    client.open(uri_of("b"), "y = 2")
    client.replace(uri_of("b"), 7, "y = 3")
    client.close(uri_of("b"))
    assert await lines(client, "b") == [None, True]


async def test_the_file_of_a_notebook_may_be_open_as_a_text_too(client: LspClient) -> None:
    await start(client)
    client.open(NOTEBOOK, '{"BUG": 1}', language_id="json")
    open_notebook(client, {"a": "x = 1"})
    assert len(await client.diagnostics(NOTEBOOK, 1)) == 1
    assert await shown(client, "a") == []


SENSELESS: list[dict[str, Any]] = [
    {"structure": splice(7, 9)},
    {"structure": splice(0, 0, cell("new"))},
    {"structure": splice(0, 1, cell("a"), cell("a"))},
    {"textContent": [{"document": {"uri": uri_of("unheard of"), "version": 2}, "changes": [{"text": "x"}]}]},
    {"textContent": [{"document": {"uri": uri_of("a"), "version": 2}, "changes": []}]},
    {"data": [cell("unheard of")]},
    {"structure": 5},
]


async def test_changes_that_make_no_sense_do_no_harm(client: LspClient) -> None:
    await start(client)
    for cells in SENSELESS:
        open_notebook(client, {"a": "x = 1  # BUG"})
        change_notebook(client, 2, **cells)
        change = {"notebookDocument": {"uri": "file:///unopened.ipynb", "version": 2}, "change": {"cells": cells}}
        client.notify("notebookDocument/didChange", change)
        assert await lines(client, "a") == [True]
    assert client.all_of("window/showMessage") == []
