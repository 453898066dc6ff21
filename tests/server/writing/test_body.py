"""The body of a function: offered where there is none, shown as it grows, confirmed, and known without a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.server.writing.body import hint_comment
from risk_lsp.text.document import Span
from tests.server.lsp_client import CAPABILITIES, ResponseError
from tests.server.person import CANCELLED, Person, at_line

PROGRAM = 'def first(values):\n    """The first of some values."""\n    pass\n\n\ntotal = 1\n'
BODY = "\n    return BUG values"
HINTED = "riskLsp.writeBodyWithHint"
NO_HINT = {"command": HINTED, "workDoneToken": "token"}
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


@pytest.fixture
async def asking(person: Person, tmp_path: Path) -> tuple[Person, str]:
    """The same in an editor that asks for hints."""
    (tmp_path / "writes").write_text(json.dumps([BODY]), encoding="utf-8")
    said = json.loads((CAPABILITIES / "vscode-1.139.json").read_text(encoding="utf-8"))["capabilities"]
    said["experimental"] = {"riskLsp": {"hint": True}}
    await person.initialize(capabilities=said, initializationOptions=ON)
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


async def test_a_hint_is_a_comment_that_opens_the_body(writer: tuple[Person, str], tmp_path: Path) -> None:
    person, uri = writer
    (tmp_path / "writes").write_text(json.dumps(["\n    return values[0]"]), encoding="utf-8")
    given = {"command": HINTED, "arguments": [uri, at_line(0), "the one that  came\nfirst"], "workDoneToken": "token"}
    outcome = await person.request("workspace/executeCommand", given)

    assert outcome["status"] == "applied"
    expected = PROGRAM.replace("    pass", "    # the one that came first\n    return values[0]")
    assert person.texts[uri][1] == expected
    assert "# the one that came first" in (tmp_path / "written").read_text("utf-8"), "the model reads it"


async def test_a_client_that_can_ask_is_asked_for_the_hint(asking: tuple[Person, str]) -> None:
    person, uri = asking
    person.replies["riskLsp/askHint"] = {"hint": "the first"}
    assert "Write the body with a hint..." in await actions(person, uri, 0)

    outcome = await person.request("workspace/executeCommand", {**NO_HINT, "arguments": [uri, at_line(0)]})
    assert outcome["status"] == "applied"
    assert "    # the first\n" in person.texts[uri][1]


async def test_whoever_gives_no_hint_after_all_gets_no_body(asking: tuple[Person, str]) -> None:
    person, uri = asking
    person.replies["riskLsp/askHint"] = {"hint": None}
    with pytest.raises(ResponseError) as refused:
        await person.request("workspace/executeCommand", {**NO_HINT, "arguments": [uri, at_line(0)]})
    assert refused.value.code == CANCELLED
    assert person.all_of("workspace/applyEdit") == []


async def test_a_client_that_cannot_ask_is_told_to_send_the_hint(writer: tuple[Person, str]) -> None:
    person, uri = writer
    with pytest.raises(ResponseError, match="expected the hint, a text, as the last argument"):
        await person.request("workspace/executeCommand", {**NO_HINT, "arguments": [uri, at_line(0)]})


@pytest.mark.parametrize(
    ("text", "where", "comment"),
    [
        ("def f():", (8, 8), "\n    # words"),
        ("class A:\n\tdef f(self):\n\t\tpass", (22, 29), "\n\t\t# words"),
        ('def f():\n  """Text."""', (22, 22), "\n  # words"),
    ],
)
def test_the_comment_stands_as_deep_as_the_body_will(text: str, where: tuple[int, int], comment: str) -> None:
    assert hint_comment(text, Span(*where), "words") == comment
