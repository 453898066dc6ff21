"""The body of a function: offered where there is none, shown as it grows, confirmed, and known without a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.server.lsp_client import ResponseError
from tests.server.person import CANCELLED, Person, at_line

PROGRAM = 'def first(values):\n    """The first of some values."""\n    pass\n\n\ntotal = 1\n'
BODY = "\n    return BUG values"
ON = {"inlineCompletion": True, "threshold": 0.3, "debounce": 0.0}


@pytest.fixture
async def writer(person: Person, tmp_path: Path) -> tuple[Person, str]:
    """A person with a function that has no body, in an editor that confirms edits, and the URI."""
    (tmp_path / "writes").write_text(json.dumps([BODY]), encoding="utf-8")
    await person.initialize("vscode-1.139", initializationOptions=ON)
    person.configuration = {}
    uri = person.show(tmp_path / "program.py", PROGRAM)
    await person.request("riskLsp/lines", {"uri": uri})
    return person, uri


async def actions(person: Person, uri: str, line: int) -> list[str]:
    params = {"textDocument": {"uri": uri}, "range": at_line(line), "context": {"diagnostics": []}}
    return [action["title"] for action in await person.request("textDocument/codeAction", params)]


def ask(person: Person, uri: str) -> int:
    given: dict[str, Any] = {"command": "riskLsp.writeBody", "arguments": [uri, at_line(0)], "workDoneToken": "token"}
    return person.send_request("workspace/executeCommand", given)


async def test_it_is_offered_where_a_function_has_no_body(writer: tuple[Person, str]) -> None:
    person, uri = writer

    assert "Write the body" in await actions(person, uri, 0)
    assert "Write the body" not in await actions(person, uri, 5)


async def test_it_is_confirmed_applied_and_shown_without_a_run(writer: tuple[Person, str], tmp_path: Path) -> None:
    person, uri = writer
    runs = (tmp_path / "runs").read_text("utf-8")

    outcome = await person.result_of(ask(person, uri))

    assert outcome == {"status": "applied", "message": "1 line worth a look, 63%"}
    (edit,) = person.all_of("workspace/applyEdit")
    (annotation,) = edit["edit"]["changeAnnotations"].values()
    assert annotation == {"label": "1 line worth a look, 63%", "needsConfirmation": True}
    assert person.texts[uri][1] == PROGRAM.replace("\n    pass", BODY)
    assert [each["range"]["start"]["line"] for each in await person.diagnostics(uri, 2)] == [2]
    assert (tmp_path / "runs").read_text("utf-8") == runs


async def test_its_lines_are_shown_as_they_are_written(writer: tuple[Person, str]) -> None:
    person, uri = writer
    await person.result_of(ask(person, uri))

    await person.stage("first line")


async def test_what_is_cancelled_changes_nothing(writer: tuple[Person, str]) -> None:
    person, uri = writer
    stalled = PROGRAM + "STALL = 1\n"
    person.texts[uri] = (2, stalled)
    person.replace(uri, 2, stalled)
    request = ask(person, uri)
    await person.stage("first line")
    person.notify("window/workDoneProgress/cancel", {"token": "token"})

    with pytest.raises(ResponseError) as refused:
        await person.result_of(request)
    assert refused.value.code == CANCELLED
    assert person.all_of("workspace/applyEdit") == []


async def test_a_function_that_has_a_body_is_refused(writer: tuple[Person, str]) -> None:
    person, uri = writer
    person.replace(uri, 2, PROGRAM.replace("pass", "return 1"))

    with pytest.raises(ResponseError, match="no function without a body"):
        await person.result_of(ask(person, uri))
