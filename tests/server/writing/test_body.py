"""The body of a function: offered where there is none, shown as it grows, confirmed, and known without a run."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.text.document import Span
from risk_lsp.text.extents import hint_comment
from tests.server.lsp_client import CAPABILITIES, ResponseError
from tests.server.person import CANCELLED, Person, at_line

PROGRAM = 'def first(values):\n    """The first of some values."""\n    pass\n\n\ntotal = 1\n'
BODY = "\n    return BUG values"
GROWING = "\n    found = BUG(values)\n    return found"
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
async def previewing(person: Person, tmp_path: Path) -> tuple[Person, str]:
    """The same in an editor that shows previews, and accepts them."""
    person.replies["riskLsp/confirmPreview"] = {"accept": True}
    return person, await opened(person, tmp_path, "preview", GROWING)


@pytest.fixture
async def asking(person: Person, tmp_path: Path) -> tuple[Person, str]:
    """The same in an editor that asks for hints."""
    return person, await opened(person, tmp_path, "hint", BODY)


async def opened(person: Person, folder: Path, offer: str, body: str) -> str:
    """Open the program in an editor that makes one offer of its own; the URI."""
    (folder / "writes").write_text(json.dumps([body]), encoding="utf-8")
    said = json.loads((CAPABILITIES / "vscode-1.139.json").read_text(encoding="utf-8"))["capabilities"]
    said["textDocument"].pop("diagnostic")
    said["experimental"] = {"riskLsp": {offer: True}}
    await person.initialize(capabilities=said, initializationOptions=ON)
    person.configuration = {}
    uri = person.show(folder / "program.py", PROGRAM)
    await person.request("riskLsp/lines", {"uri": uri})
    return uri


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

    await person.stage("return BUG values")


async def test_what_is_cancelled_changes_nothing(writer: tuple[Person, str]) -> None:
    person, uri = writer
    pondered = PROGRAM + "PONDER = 1\n"
    person.texts[uri] = (2, pondered)
    person.replace(uri, 2, pondered)
    request = ask(person, uri)
    await person.stage("return BUG values")
    person.notify("window/workDoneProgress/cancel", {"token": "token"})

    with pytest.raises(ResponseError) as refused:
        await person.result_of(request)
    assert refused.value.code == CANCELLED
    assert person.all_of("workspace/applyEdit") == []


async def test_a_preview_grows_in_the_document_with_its_heat(previewing: tuple[Person, str]) -> None:
    person, uri = previewing
    outcome = await person.result_of(ask(person, uri))

    growing, over = person.all_of("riskLsp/preview")
    assert growing["text"] == "\n    found = BUG(values)"
    assert growing["range"] == {"start": {"line": 1, "character": 35}, "end": {"line": 2, "character": 8}}
    assert [(line["start"], line["step"] > 0) for line in growing["risk"]["lines"]] == [
        ({"line": 1, "character": 4}, True)
    ]
    assert over == {"token": growing["token"], "uri": uri, "text": None}
    (confirmed,) = person.all_of("riskLsp/confirmPreview")
    assert confirmed["text"] == GROWING and confirmed["token"] == growing["token"]
    assert [line["step"] > 0 for line in confirmed["risk"]["lines"]] == [True, False]
    assert outcome == {"status": "applied", "message": confirmed["risk"]["words"]}


async def test_an_accepted_preview_is_applied_and_shown_without_a_run(
    previewing: tuple[Person, str], tmp_path: Path
) -> None:
    person, uri = previewing
    runs = (tmp_path / "runs").read_text("utf-8")
    await person.result_of(ask(person, uri))

    (edit,) = person.all_of("workspace/applyEdit")
    assert "changeAnnotations" not in edit["edit"], "nobody is asked a second time"
    assert person.texts[uri][1] == PROGRAM.replace("\n    pass", GROWING)
    assert [each["range"]["start"]["line"] for each in await person.diagnostics(uri, 2)] == [2]
    assert (tmp_path / "runs").read_text("utf-8") == runs
    written = await person.request("riskLsp/written", {"uri": uri})
    assert [region["isUnchanged"] for region in written["regions"]] == [True]


async def test_what_is_offered_at_the_cursor_meanwhile_takes_nothing_from_a_preview(
    previewing: tuple[Person, str],
) -> None:
    person, uri = previewing
    person.silent.add("riskLsp/confirmPreview")
    request = ask(person, uri)
    shown = await person.message(lambda message: message.get("method") == "riskLsp/confirmPreview")
    place = {"line": 5, "character": 9}
    for _ in range(3):
        asked = {"textDocument": {"uri": uri}, "position": place, "context": {"triggerKind": 2}}
        await person.request("textDocument/inlineCompletion", asked)
    person.send({"jsonrpc": "2.0", "id": shown["id"], "result": {"accept": True}})

    assert (await person.result_of(request))["status"] == "applied"
    assert len((await person.request("riskLsp/written", {"uri": uri}))["regions"]) == 1


async def test_an_editor_may_answer_before_it_tells_of_the_edit(previewing: tuple[Person, str]) -> None:
    person, uri = previewing

    def apply_late(params: Any) -> dict[str, bool]:
        text = PROGRAM.replace("\n    pass", GROWING)
        asyncio.get_running_loop().call_later(0.1, lambda: person.replace(uri, 2, text))
        return {"applied": True}

    person.replies["workspace/applyEdit"] = apply_late
    await person.result_of(ask(person, uri))

    assert len((await person.request("riskLsp/written", {"uri": uri}))["regions"]) == 1


async def test_a_preview_that_is_dismissed_changes_nothing(previewing: tuple[Person, str]) -> None:
    person, uri = previewing
    person.replies["riskLsp/confirmPreview"] = {"accept": False}

    assert (await person.result_of(ask(person, uri)))["status"] == "discarded"
    assert person.all_of("workspace/applyEdit") == []


@pytest.mark.parametrize("by", ["its button", "a key"])
async def test_a_preview_that_is_cancelled_goes_at_once(previewing: tuple[Person, str], by: str) -> None:
    person, uri = previewing
    person.replace(uri, 2, PROGRAM + "PONDER = 1\n")
    request = ask(person, uri)
    await person.message(lambda message: message.get("method") == "riskLsp/preview")
    started = time.monotonic()
    if by == "a key":
        person.replace(uri, 3, PROGRAM + "PONDER = 12\n")
    else:
        person.notify("window/workDoneProgress/cancel", {"token": "token"})
    await person.message(
        lambda message: message.get("method") == "riskLsp/preview" and message["params"]["text"] is None
    )

    assert time.monotonic() - started < 2, "on a busy machine; `make bench` measures it"
    with pytest.raises(ResponseError) as refused:
        await person.result_of(request)
    assert refused.value.code == CANCELLED
    assert person.all_of("workspace/applyEdit") == []


async def test_a_client_without_previews_sees_none(writer: tuple[Person, str]) -> None:
    person, uri = writer
    await person.result_of(ask(person, uri))
    assert person.all_of("riskLsp/preview") == person.all_of("riskLsp/confirmPreview") == []


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
