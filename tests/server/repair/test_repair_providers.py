"""Repairs by an asked model: the editor's own, or one at an endpoint, with the person's hint and their key."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from risk_lsp.repair.tree import TreeStore
from risk_lsp.risk.engine import Engine
from tests.repair.chat_server import break_off, chat_server, hang_after_a_piece, write
from tests.server.lsp_client import CAPABILITIES, ResponseError, server_command
from tests.server.person import CANCELLED, LARGEST, RIGHT, Person, at_line

NO_MODEL = cast(Engine, None)  # whoever scripts all answers needs none
ANSWER = f"The comparison is the wrong way round.\n```python\n{RIGHT}```\n"


@pytest.fixture
async def logged(sandboxed: None, tmp_path: Path) -> AsyncIterator[Person]:
    """A person at a server without a key, that logs all it can into the file `log`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    with (tmp_path / "log").open("wb") as log:
        connected = await Person.start(server_command(tmp_path, log_level="debug"), stderr=log, env=environment)
    assert isinstance(connected, Person)
    yield connected
    await connected.kill()


async def start(person: Person, file: Path, *offers: str, **settings: Any) -> str:
    """Shake hands as VS Code would that offers something more, and open the faulty file; its URI."""
    person.choose("Run")
    said = json.loads((CAPABILITIES / "vscode-1.139.json").read_text(encoding="utf-8"))["capabilities"]
    said["experimental"] = {"riskLsp": dict.fromkeys(offers, True)}
    await person.initialize("vscode-1.139", capabilities=said, initializationOptions=settings)
    return person.show(file, LARGEST)


async def test_the_editors_own_model_makes_a_repair(person: Person, tmp_path: Path) -> None:
    person.replies["riskLsp/chat"] = {"text": ANSWER}
    uri = await start(person, tmp_path / "largest.py", "chat", repairProvider="editor")
    assert (await person.repaired(uri))["status"] == "applied"
    (asked,) = person.all_of("riskLsp/chat")
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert LARGEST in asked["messages"][1]["content"]
    assert person.texts[uri][1] == RIGHT


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"error": "sign in first"}, "the editor's model refused: sign in first (sign in to it in the editor, or"),
        (None, "the editor gave no answer"),
        ({"text": 7}, "the editor's answer holds no text"),
    ],
)
async def test_what_is_wrong_with_the_editors_model_is_said(
    person: Person, tmp_path: Path, answer: Any, words: str
) -> None:
    person.replies["riskLsp/chat"] = answer
    uri = await start(person, tmp_path / "largest.py", "chat", repairProvider="editor")
    outcome = await person.repaired(uri)
    assert outcome["status"] == "failed"
    assert words in outcome["message"]


async def test_an_editor_without_a_model_is_told_what_to_set(person: Person, tmp_path: Path) -> None:
    uri = await start(person, tmp_path / "largest.py", repairProvider="editor")
    outcome = await person.repaired(uri)
    assert "this editor offers no model of its own (set repairProvider to embedded or endpoint)" in outcome["message"]


async def test_cancelling_takes_the_question_to_the_editor_back(person: Person, tmp_path: Path) -> None:
    person.silent.add("riskLsp/chat")
    uri = await start(person, tmp_path / "largest.py", "chat", repairProvider="editor")
    request = person.repair(uri)
    asked = await person.message(lambda message: message.get("method") == "riskLsp/chat")
    person.notify("$/cancelRequest", {"id": request})
    assert await person.notification("$/cancelRequest") == {"id": asked["id"]}
    with pytest.raises(ResponseError) as caught:
        await person.result_of(request)
    assert caught.value.code == CANCELLED


async def test_a_hint_is_asked_for_and_passed_on(person: Person, tmp_path: Path) -> None:
    person.replies["riskLsp/chat"] = {"text": ANSWER}
    person.replies["riskLsp/askHint"] = {"hint": "look at the COMPARISON"}
    uri = await start(person, tmp_path / "largest.py", "chat", "hint", repairProvider="editor")
    await person.execute("riskLsp.repairWithHint", uri, at_line(8))
    assert "look at the COMPARISON" in (await person.notification("riskLsp/chat"))["messages"][1]["content"]
    assert (await person.notification("riskLsp/askHint"))["uri"] == uri


async def test_a_hint_may_come_with_the_command(person: Person, tmp_path: Path) -> None:
    person.replies["riskLsp/chat"] = {"text": ANSWER}
    uri = await start(person, tmp_path / "largest.py", "chat", repairProvider="editor")
    await person.execute("riskLsp.repairWithHint", uri, at_line(8), "look at the COMPARISON")
    assert "look at the COMPARISON" in (await person.notification("riskLsp/chat"))["messages"][1]["content"]
    with pytest.raises(ResponseError, match="expected the hint, a text, as the last argument"):
        await person.execute("riskLsp.repairWithHint", uri, at_line(8))


async def test_whoever_gives_no_hint_after_all_gets_no_repair(person: Person, tmp_path: Path) -> None:
    person.replies["riskLsp/askHint"] = {"hint": None}
    uri = await start(person, tmp_path / "largest.py", "hint")
    params = {"command": "riskLsp.repairWithHint", "arguments": [uri, at_line(8)], "workDoneToken": "token"}
    with pytest.raises(ResponseError) as caught:
        await person.request("workspace/executeCommand", params)
    assert caught.value.code == CANCELLED
    assert person.questions == []


async def test_a_model_at_an_endpoint_makes_a_repair_and_the_key_is_no_one_elses(
    logged: Person, tmp_path: Path
) -> None:
    logged.replies["riskLsp/secret"] = {"secret": "sk-KEY"}
    with chat_server(NO_MODEL) as server:
        server.ways.append(write(ANSWER))
        settings = {"repairProvider": "endpoint", "repairEndpoint": server.url, "repairModel": "tiny"}
        uri = await start(logged, tmp_path / "largest.py", "secret", **settings)
        assert (await logged.repaired(uri))["status"] == "applied"
        assert (server.keys, server.asked[0]["model"]) == (["Bearer sk-KEY"], "tiny")
        assert logged.all_of("riskLsp/secret") == [{"endpoint": server.url}]
    await logged.shut_down()
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert tmp_path / "log" in kept
    assert not [path for path in kept if b"sk-KEY" in path.read_bytes()]


async def test_another_model_at_the_endpoint_may_say_what_is_wrong(logged: Person, tmp_path: Path) -> None:
    logged.replies["riskLsp/secret"] = {"secret": "sk-KEY"}
    with chat_server(NO_MODEL) as server:
        server.ways = [write("The SMALLEST one is kept."), write(ANSWER)]
        settings = {"repairProvider": "endpoint", "repairEndpoint": server.url, "repairModel": "tiny"}
        uri = await start(logged, tmp_path / "largest.py", "secret", **settings, repairFeedbackModel="critic")
        assert (await logged.repaired(uri))["status"] == "applied"
        assert [asked["model"] for asked in server.asked] == ["critic", "tiny"]
        assert server.keys == ["Bearer sk-KEY"] * 2
        assert "Somebody who read it says:\n\nThe SMALLEST one is kept." in server.asked[1]["messages"][-1]["content"]


async def test_the_same_model_may_say_first_what_is_wrong(person: Person, tmp_path: Path) -> None:
    with chat_server(NO_MODEL) as server:
        server.ways = [write("The SMALLEST one is kept."), write(ANSWER)]
        settings = {"repairProvider": "endpoint", "repairEndpoint": server.url, "repairModel": "tiny"}
        uri = await start(person, tmp_path / "largest.py", **settings, repairFeedback="same")
        assert (await person.repaired(uri))["status"] == "applied"
        assert [asked["model"] for asked in server.asked] == ["tiny", "tiny"]
        assert "The SMALLEST one is kept." in server.asked[1]["messages"][-1]["content"]


async def test_the_editors_own_model_may_say_first_what_is_wrong(person: Person, tmp_path: Path) -> None:
    answers = iter(["The SMALLEST one is kept.", ANSWER])
    person.replies["riskLsp/chat"] = lambda _: {"text": next(answers)}
    settings = {"repairProvider": "editor", "repairFeedback": "same"}
    uri = await start(person, tmp_path / "largest.py", "chat", **settings)
    assert (await person.repaired(uri))["status"] == "applied"
    assert "The SMALLEST one is kept." in person.all_of("riskLsp/chat")[1]["messages"][-1]["content"]


async def test_cancelling_closes_the_connection_to_the_endpoint(person: Person, tmp_path: Path) -> None:
    with chat_server(NO_MODEL) as server:
        server.ways.append(hang_after_a_piece)
        settings = {"repairProvider": "endpoint", "repairEndpoint": server.url, "repairModel": "tiny"}
        uri = await start(person, tmp_path / "largest.py", **settings)
        request = person.repair(uri)
        await person.stage("tiny is writing (1 characters)")
        person.notify("$/cancelRequest", {"id": request})
        await person.stage("cancelled")
        assert server.left.wait(10)
    assert person.all_of("workspace/applyEdit") == []


async def test_a_server_without_the_endpoints_client_says_what_to_install(sandboxed: None, tmp_path: Path) -> None:
    absent = tmp_path / "absent" / "openai.py"
    absent.parent.mkdir()
    absent.write_text("raise ModuleNotFoundError(\"No module named 'openai'\", name='openai')\n", encoding="utf-8")
    person = await Person.start(server_command(tmp_path), env={**os.environ, "PYTHONPATH": str(absent.parent)})
    assert isinstance(person, Person)
    try:
        settings = {"repairProvider": "endpoint", "repairEndpoint": "http://127.0.0.1:1/v1", "repairModel": "tiny"}
        uri = await start(person, tmp_path / "largest.py", **settings)
        outcome = await person.repaired(uri)
        assert "endpoints need the package openai (install it beside the server: pip install" in outcome["message"]
    finally:
        await person.kill()


async def test_an_endpoint_that_dies_leaves_the_text_and_a_readable_record(person: Person, tmp_path: Path) -> None:
    with chat_server(NO_MODEL) as server:
        server.ways = [write(ANSWER.replace("> best", "!= best")), break_off]
        settings = {"repairProvider": "endpoint", "repairEndpoint": server.url, "repairModel": "tiny"}
        uri = await start(person, tmp_path / "largest.py", **settings)
        outcome = await person.repaired(uri)
    assert outcome["status"] == "failed"
    assert "broke off" in outcome["message"]
    assert outcome["message"].endswith(")"), "a way out"
    assert person.all_of("workspace/applyEdit") == []
    assert person.texts[uri] == (1, LARGEST)
    (file,) = (tmp_path / "data" / "repairs").glob("*.json")
    tree = TreeStore(file).load()
    assert tree is not None
    assert [node.source for node in tree.programs] == ["given", "tiny"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "no model is named for the endpoint (name one in the setting repairModel)"),
        ({"repairModel": "m"}, "api.openai.com is on the network and risk-lsp is offline (set offline to false"),
        ({"repairModel": "m", "repairEndpoint": "http://10.0.0.1/v1"}, "10.0.0.1 is on the network"),
        ({"repairModel": "m", "offline": False}, "the endpoint needs a key (set OPENAI_API_KEY, or name a server"),
        ({"repairModel": "m", "repairEndpoint": "http://127.0.0.1:1/v1"}, "(is the server running?)"),
    ],
)
async def test_an_endpoint_that_cannot_be_asked_is_explained(
    logged: Person, tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    uri = await start(logged, tmp_path / "largest.py", repairProvider="endpoint", **settings)
    outcome = await logged.repaired(uri)
    assert outcome["status"] == "failed"
    assert words in outcome["message"]
