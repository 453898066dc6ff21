"""Repairs over stdio: the edit, where it is shown, and all the ways in which nothing is changed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.repair.tree import RepairTree, TreeStore
from tests.server.documents.test_model_lifecycle import worker_pid
from tests.server.documents.test_notebooks import open_notebook, uri_of
from tests.server.lsp_client import ResponseError, server_command
from tests.server.person import (
    CANCELLED,
    FAULTY_LINE,
    LARGEST,
    RIGHT,
    Person,
    at_line,
    children_of,
    default_server,
    is_alive,
)
from tests.server.test_settings_in_force import runs

APPLY_EDIT = "workspace/applyEdit"


def sleeps(process: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/comm").read_text(encoding="utf-8").strip() == "sleep"
    return False


def records(folder: Path) -> list[RepairTree]:
    """The trees on disk."""
    found = [TreeStore(file).load() for file in (folder / "data" / "repairs").glob("*.json")]
    return [tree for tree in found if tree is not None]


async def start(person: Person, dump: str = "vscode-1.139", **settings: Any) -> None:
    person.choose("Run", "Apply")
    await person.initialize(dump, initializationOptions={"debounce": 0.0, **settings})


@pytest.fixture
async def default_person(sandboxed: None, tmp_path: Path) -> AsyncIterator[Person]:
    connected = await Person.start(default_server(tmp_path))
    assert isinstance(connected, Person)
    yield connected
    await connected.kill()


async def test_a_wrong_operator_is_repaired_and_then_the_doctests_pass(default_person: Person, tmp_path: Path) -> None:
    await start(default_person)
    file = tmp_path / "largest.py"
    uri = default_person.show(file, LARGEST)
    assert (await default_person.repaired(uri))["status"] == "applied"
    (applied,) = default_person.all_of(APPLY_EDIT)
    (change,) = applied["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": uri, "version": 1}
    (annotation,) = applied["edit"]["changeAnnotations"].values()
    assert annotation["needsConfirmation"] is True
    assert annotation["label"].startswith("Repair that passes the tests (risk ")
    (words,) = default_person.shown
    assert "passes python -m doctest largest.py; changes 1 line; risk of the document " in words
    file.write_text(default_person.texts[uri][1], encoding="utf-8")
    assert subprocess.run([sys.executable, "-m", "doctest", str(file)], check=False).returncode == 0


async def test_a_client_without_annotations_is_shown_the_diff_first(person: Person, tmp_path: Path) -> None:
    await start(person, "nvim-0.12")
    uri = person.show(tmp_path / "largest.py", LARGEST)
    assert (await person.repaired(uri))["status"] == "applied"
    assert "-        if number < best:  # BUG\n+        if number > best:  # BUG\n" in person.questions[-1]
    assert "passes python -m doctest largest.py" in person.questions[-1]
    assert person.texts[uri][1] == RIGHT


async def test_a_diff_that_is_discarded_changes_nothing(person: Person, tmp_path: Path) -> None:
    await start(person, "emacs30-eglot")
    person.choose("Run", "Discard")
    uri = person.show(tmp_path / "largest.py", LARGEST)
    assert (await person.repaired(uri))["status"] == "discarded"
    assert person.all_of(APPLY_EDIT) == []


async def test_a_client_that_takes_no_edits_is_told_the_change(person: Person, tmp_path: Path) -> None:
    await start(person, "vim9-ale")
    uri = person.show(tmp_path / "largest.py", LARGEST)
    outcome = await person.repaired(uri)
    assert outcome["status"] == "shown"
    assert "+        if number > best:  # BUG" in person.shown[-1]


async def test_without_a_progress_token_the_command_is_answered_at_once(person: Person, tmp_path: Path) -> None:
    await start(person)
    uri = person.show(tmp_path / "largest.py", LARGEST)
    started = await person.result_of(person.repair(uri, token=None))
    assert started["status"] == "started"
    assert person.all_of(APPLY_EDIT) == []
    await person.notification(APPLY_EDIT)
    ours = [params for params in person.all_of("$/progress") if params["token"] == started["token"]]
    assert (ours[0]["value"]["kind"], ours[0]["value"]["cancellable"]) == ("begin", True)
    assert ours[-1]["value"] == {"kind": "end", "message": "repaired"}


@pytest.mark.parametrize("way", ["request", "progress", "command"])
async def test_cancelling_ends_what_runs_and_changes_nothing(person: Person, tmp_path: Path, way: str) -> None:
    await start(person, repairTests="sleep 50")
    uri = person.show(tmp_path / "largest.py", LARGEST)
    await person.hover(uri, 0)
    before = children_of(person.process.pid)
    request = person.repair(uri)
    await person.stage("running the tests")
    while len(children_of(person.process.pid)) <= len(before):
        await asyncio.sleep(0.01)
    if way == "request":
        person.notify("$/cancelRequest", {"id": request})
    elif way == "progress":
        person.notify("window/workDoneProgress/cancel", {"token": "token"})
    else:
        assert await person.execute("riskLsp.cancelRepair", uri) is True
    with pytest.raises(ResponseError) as caught:
        await person.result_of(request)
    assert caught.value.code == CANCELLED
    await person.stage("cancelled")
    assert children_of(person.process.pid) <= before
    assert person.all_of(APPLY_EDIT) == []
    assert await person.execute("riskLsp.cancelRepair", uri) is False


async def test_cancelling_before_the_work_has_begun_is_no_obstacle_to_the_next(person: Person, tmp_path: Path) -> None:
    await start(person)
    uri = person.show(tmp_path / "largest.py", LARGEST)
    request = person.repair(uri)
    person.notify("$/cancelRequest", {"id": request})
    with pytest.raises(ResponseError) as caught:
        await person.result_of(request)
    assert caught.value.code == CANCELLED
    assert (await person.repaired(uri))["status"] == "applied"


async def test_leaving_ends_what_runs(person: Person, tmp_path: Path) -> None:
    await start(person, repairTests="sleep 50")
    uri = person.show(tmp_path / "largest.py", LARGEST)
    await person.hover(uri, 0)
    before = children_of(person.process.pid)
    person.repair(uri)
    await person.stage("running the tests")
    while not (added := children_of(person.process.pid) - before):
        await asyncio.sleep(0.01)
    await person.shut_down()
    assert not [process for process in added if is_alive(process)]


async def test_an_edit_meanwhile_ends_the_repair_and_is_said(person: Person, tmp_path: Path) -> None:
    await start(person, repairTests="sleep 50")
    uri = person.show(tmp_path / "largest.py", LARGEST)
    request = person.repair(uri)
    await person.stage("running the tests")
    person.replace(uri, 2, LARGEST + "\n")
    assert (await person.result_of(request))["status"] == "outdated"
    assert "the text changed while its repair was looked for, so nothing was applied; ask again" in person.shown[-1]
    assert person.all_of(APPLY_EDIT) == []


async def test_an_edit_while_the_diff_is_shown_takes_it_back(person: Person, tmp_path: Path) -> None:
    await start(person, "nvim-0.12")
    uri = person.show(tmp_path / "largest.py", LARGEST)
    person.replies["window/showMessageRequest"] = {"title": "Run"}
    await person.repaired(uri)
    person.silent.add("window/showMessageRequest")
    seen = len(person.received)
    request = person.repair(uri)
    await person.notification("window/showMessageRequest", seen)
    person.replace(uri, 2, LARGEST + "\n")
    assert (await person.result_of(request))["status"] == "outdated"
    asked = next(each for each in person.received[seen:] if each.get("method") == "window/showMessageRequest")
    assert {"id": asked["id"]} in person.all_of("$/cancelRequest")


async def test_an_edit_that_the_client_refuses_is_not_called_applied(person: Person, tmp_path: Path) -> None:
    await start(person)
    person.replies[APPLY_EDIT] = {"applied": False}
    uri = person.show(tmp_path / "largest.py", LARGEST)
    assert (await person.repaired(uri))["status"] == "discarded"


async def test_a_worker_that_dies_leaves_the_text_alone_and_says_what_to_do(person: Person, tmp_path: Path) -> None:
    await start(person)
    (tmp_path / "release").touch()
    uri = person.show(tmp_path / "largest.py", LARGEST + "# STALL\n")
    await person.diagnostics(uri, 1)
    (tmp_path / "release").unlink()
    seen = runs(tmp_path)
    request = person.repair(uri)
    while runs(tmp_path) == seen:
        await asyncio.sleep(0.01)
    os.kill(worker_pid(tmp_path), signal.SIGKILL)
    outcome = await person.result_of(request)
    assert outcome["status"] == "failed"
    assert outcome["message"].startswith("risk-lsp: no repair, and nothing was changed: the worker ")
    assert "(" in outcome["message"], "a way out"
    assert person.all_of(APPLY_EDIT) == []


async def test_a_sandbox_that_dies_leaves_the_text_alone(person: Person, tmp_path: Path) -> None:
    await start(person, repairTests="sleep 1; false", repairExecutions=2)
    uri = person.show(tmp_path / "largest.py", LARGEST)
    await person.hover(uri, 0)
    before = children_of(person.process.pid)
    request = person.repair(uri)
    while not any(map(sleeps, children_of(person.process.pid))):
        await asyncio.sleep(0.01)
    for process in children_of(person.process.pid) - before:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    assert (await person.result_of(request))["status"] in ("failed", "not found")
    assert person.all_of(APPLY_EDIT) == []
    assert [tree.task.text for tree in records(tmp_path)] == [LARGEST]


async def test_a_machine_without_a_sandbox_says_how_to_go_on(sandboxed: None, tmp_path: Path) -> None:
    connected = await Person.start(server_command(tmp_path), env={**os.environ, "PATH": str(tmp_path)})
    assert isinstance(connected, Person)
    try:
        await start(connected)
        outcome = await connected.repaired(connected.show(tmp_path / "largest.py", LARGEST))
        assert outcome["status"] == "failed"
        assert "bubblewrap (bwrap) is not installed" in outcome["message"]
        assert outcome["message"].endswith("; or set repairTests to none)")
    finally:
        await connected.kill()


async def test_one_repair_of_a_document_at_a_time(person: Person, tmp_path: Path) -> None:
    await start(person, repairTests="sleep 50")
    uris = [person.show(tmp_path / f"{name}.py", LARGEST) for name in "abc"]
    person.replies["window/showMessageRequest"] = {"title": "Run"}
    person.repair(uris[0], token="one")
    with pytest.raises(ResponseError, match="a repair of this document is under way; wait for it, or end it with"):
        await person.repaired(uris[0])
    person.repair(uris[1], token="two")
    with pytest.raises(ResponseError, match="2 repairs are under way already"):
        await person.repaired(uris[2])


async def test_hover_is_answered_while_tests_run(person: Person, tmp_path: Path) -> None:
    await start(person, repairTests="sleep 50")
    uri = person.show(tmp_path / "largest.py", LARGEST)
    await person.diagnostics(uri, 1)
    person.repair(uri)
    await person.stage("running the tests")
    assert await person.hover(uri, FAULTY_LINE) is not None


async def test_a_program_that_passes_is_left_alone(person: Person, tmp_path: Path) -> None:
    await start(person)
    uri = person.show(tmp_path / "largest.py", RIGHT)
    outcome = await person.repaired(uri)
    assert outcome["status"] == "passing"
    assert "the tests pass as it is: python -m doctest largest.py; add a test" in outcome["message"]


async def test_where_nothing_is_found_it_is_said_what_could_help(person: Person, tmp_path: Path) -> None:
    await start(person, repairTests="false", repairExecutions=5)
    uri = person.show(tmp_path / "largest.py", LARGEST)
    outcome = await person.repaired(uri)
    assert outcome["status"] == "not found"
    assert "allow more than 5 runs, or ask a model with a hint" in outcome["message"]


async def test_the_record_of_a_repair_can_be_read(person: Person, tmp_path: Path) -> None:
    await start(person)
    await person.repaired(person.show(tmp_path / "largest.py", LARGEST))
    (tree,) = records(tmp_path)
    assert (tree.task.name, tree.task.text) == ("largest.py", LARGEST)


async def test_a_repair_in_a_notebook_is_an_edit_of_its_cell(person: Person) -> None:
    await start(person)
    person.replies[APPLY_EDIT] = {"applied": True}
    cells = {"a": "import math", "b": "def half(x):\n    return x / 3  # BUG\n"}
    open_notebook(person, cells)
    outcome = await person.repaired(uri_of("b"), line=1)
    assert outcome["status"] in ("applied", "not found")
    for applied in person.all_of(APPLY_EDIT):
        (change,) = applied["edit"]["documentChanges"]
        assert change["textDocument"] == {"uri": uri_of("b"), "version": 1}
        assert change["edits"][0]["range"]["start"]["line"] == 1


async def test_a_record_that_cannot_be_written_is_no_obstacle(person: Person, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be", encoding="ascii")
    await start(person)
    assert (await person.repaired(person.show(tmp_path / "largest.py", LARGEST)))["status"] == "applied"


@pytest.mark.parametrize(
    ("uri", "place", "reason"),
    [
        ("file:///nowhere.py", at_line(0), "is not an open document"),
        ("file:///a.py", at_line(3), "nothing but white space"),
        ("file:///a.js", at_line(0), "a text in javascript cannot be repaired"),
        ("file:///a.py", {"start": 1}, "the range is an LSP range"),
    ],
)
async def test_what_cannot_be_repaired_is_refused_with_a_reason(
    person: Person, uri: str, place: Any, reason: str
) -> None:
    await start(person)
    person.open("file:///a.py", "a = 1\n\n\n\n")
    person.open("file:///a.js", "a = 1\n", language_id="javascript")
    with pytest.raises(ResponseError, match=reason):
        await person.execute("riskLsp.repair", uri, place)
