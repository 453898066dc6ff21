"""Ignoring a line: by a comment in the source, or remembered by the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.server.lsp_client import LspClient, ResponseError, server_command

URI = "file:///project/program.py"
TEXT = "a = 1\nb = 2  # BUG\nc = 3\n"
COMMENT, REMEMBER = "Ignore this line (comment)", "Ignore this line (remember)"


async def actions(client: LspClient, version: int = 1, **context: Any) -> list[dict[str, Any]]:
    """The code actions for the only diagnostic that are about ignoring."""
    (diagnostic,) = await client.diagnostics(URI, version)
    params = {
        "textDocument": {"uri": URI},
        "range": diagnostic["range"],
        "context": {"diagnostics": [diagnostic], **context},
    }
    return about_ignoring(await client.request("textDocument/codeAction", params))


def about_ignoring(result: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [action for action in result if "ignor" in action["title"].lower()]


async def hover_text(client: LspClient, line: int) -> str:
    hover = await client.hover(URI, line)
    assert hover is not None
    return str(hover["contents"]["value"])


async def ignore_stored(client: LspClient, line: int, version: int = 1) -> None:
    seen = len(client.received)
    await client.execute("riskLsp.ignoreLine", URI, line, "stored")
    assert await client.diagnostics(URI, version, seen) == []


async def test_a_comment_in_the_source_silences_its_line(client: LspClient) -> None:
    await client.initialize("emacs30-eglot")
    client.open(URI, "b = 2  # BUG # risk: ignore\nc = 3  # BUG\n")
    assert [each["range"]["start"]["line"] for each in await client.diagnostics(URI, 1)] == [1]
    answer = await client.request("riskLsp/lines", {"uri": URI})
    assert (answer["lines"][0], answer["steps"][0]) == (None, 0)
    assert (await hover_text(client, 0)).startswith("This line is ignored by a comment (risk: ignore).\nDocument: ")


async def test_the_code_action_writes_the_comment(client: LspClient) -> None:
    await client.initialize("vscode-1.139", initializationOptions={"debounce": 0.0})
    client.open(URI, TEXT)
    by_title = {action["title"]: action for action in await actions(client)}
    assert set(by_title) == {COMMENT, REMEMBER}
    action = by_title[COMMENT]
    assert action["kind"] == "quickfix"
    assert action["diagnostics"][0]["code"] == "likely-edit"
    (change,) = action["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": URI, "version": 1}
    client.change(URI, 2, *({"range": edit["range"], "text": edit["newText"]} for edit in change["edits"]))
    assert await client.diagnostics(URI, 2) == []


async def test_clients_without_document_changes_get_plain_ones(client: LspClient) -> None:
    await client.initialize("nvim-0.12")
    client.open(URI, TEXT)
    assert (await actions(client))[0]["edit"]["changes"][URI][0]["newText"] == "  # risk: ignore"


async def test_clients_without_code_action_literals_get_commands(client: LspClient) -> None:
    await client.initialize("vim9-ale", capabilities={})
    client.open(URI, TEXT)
    commands = [(action["command"], action["arguments"]) for action in await actions(client)]
    assert commands == [
        ("riskLsp.ignoreLine", [URI, 1, "source"]),
        ("riskLsp.ignoreLine", [URI, 1, "stored"]),
    ]


async def test_other_kinds_of_action_and_other_diagnostics_get_none(client: LspClient) -> None:
    await client.initialize()
    client.open(URI, TEXT)
    assert await actions(client, only=["refactor"]) == []
    assert len(await actions(client, only=["quickfix"])) == 2
    (diagnostic,) = await client.diagnostics(URI, 1)
    context = {"diagnostics": [{**diagnostic, "source": "ruff"}]}
    params = {"textDocument": {"uri": URI}, "range": diagnostic["range"], "context": context}
    assert about_ignoring(await client.request("textDocument/codeAction", params)) == []


async def test_the_command_has_the_client_write_the_comment(client: LspClient) -> None:
    await client.initialize("emacs30-eglot")
    client.open(URI, TEXT)
    await client.execute("riskLsp.ignoreLine", URI, 1, "source")
    edit = (await client.notification("workspace/applyEdit"))["edit"]
    assert edit["documentChanges"][0]["edits"][0]["newText"] == "  # risk: ignore"


async def test_a_remembered_line_is_silent_at_once_and_after_edits_around_it(client: LspClient) -> None:
    await client.initialize("emacs30-eglot", initializationOptions={"debounce": 0.0})
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    await ignore_stored(client, 1)
    assert (await hover_text(client, 1)).startswith("This line is ignored, as you asked for;")
    client.replace(URI, 2, "import os\n\na = 5\n  b = 2  # BUG\nc = 3\nd = 4  # BUG\n")
    assert [each["range"]["start"]["line"] for each in await client.diagnostics(URI, 2)] == [5]


async def test_a_remembered_line_survives_a_restart_and_leaves_no_source_behind(tmp_path: Path) -> None:
    for run in range(2):
        client = await LspClient.start(server_command(tmp_path))
        await client.initialize()
        client.open(URI, TEXT)
        assert len(await client.diagnostics(URI, 1)) == 1 - run
        if run == 0:
            await ignore_stored(client, 1)
        await client.shut_down()
        await client.kill()
    (file,) = (tmp_path / "data" / "ignored").glob("*.json")
    written = file.read_text(encoding="ascii")
    assert "BUG" not in written and "program" not in written + file.name


async def test_ignoring_can_be_stopped_by_command_and_by_code_action(client: LspClient) -> None:
    await client.initialize()
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    await ignore_stored(client, 1)
    place = {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 0}}
    params = {"textDocument": {"uri": URI}, "range": place, "context": {"diagnostics": []}}
    (action,) = await client.request("textDocument/codeAction", params)
    seen = len(client.received)
    assert await client.execute(action["command"]["command"], *action["command"]["arguments"]) is True
    assert len(await client.diagnostics(URI, 1, seen)) == 1
    assert await client.execute("riskLsp.stopIgnoring", URI, 1) is False


async def test_what_cannot_be_ignored_is_explained(client: LspClient, tmp_path: Path) -> None:
    await client.initialize("vim9-ale")
    client.open(URI, TEXT)
    client.open("file:///b.json", "{}\n", language_id="json")
    (tmp_path / "data").write_text("a file where a folder should be", encoding="ascii")
    wrong = [
        ([URI, 1], '[uri, line, "source" or "stored"]'),
        ([URI, -1, "stored"], "the line is a whole number from 0"),
        ([URI, 3, "stored"], "line 4 is blank"),
        ([URI, 99, "stored"], "line 100 is not there"),
        ([URI, 1, "stored"], "cannot be written"),
        ([URI, 1, "source"], "this client applies no edits"),
    ]
    for arguments, message in wrong:
        with pytest.raises(ResponseError) as caught:
            await client.execute("riskLsp.ignoreLine", *arguments)
        assert message in caught.value.message
