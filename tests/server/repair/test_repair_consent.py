"""Nothing of a workspace is run before the person has agreed to the exact command, and never in one without trust."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.lsp_client import server_command
from tests.server.person import LARGEST, Person, environment_with_canary

APPLY_EDIT = "workspace/applyEdit"


@pytest.fixture
async def watched(sandboxed: None, tmp_path: Path) -> AsyncIterator[Person]:
    """A person at a server whose every start of the sandbox leaves the file `canary`."""
    environment, _ = environment_with_canary(tmp_path)
    connected = await Person.start(server_command(tmp_path), env=environment)
    assert isinstance(connected, Person)
    yield connected
    await connected.kill()


async def start(person: Person, file: Path, **settings: Any) -> str:
    """Shake hands and open a faulty file; its URI."""
    file.parent.mkdir(exist_ok=True)
    folder = {"uri": file.parent.as_uri(), "name": "work"}
    await person.initialize("vscode-1.139", workspaceFolders=[folder], initializationOptions=settings)
    return person.show(file, LARGEST)


async def test_the_exact_command_is_named_and_run_once_it_is_agreed_to(watched: Person, tmp_path: Path) -> None:
    watched.choose("Run")
    uri = await start(watched, tmp_path / "work" / "largest.py")
    await watched.repaired(uri)
    (question,) = watched.questions
    assert question.endswith("The command: python -m doctest largest.py")
    assert f"on a copy of {tmp_path / 'work'}, without a network" in question
    assert (tmp_path / "canary").exists(), "the canary shows what runs"


async def test_in_a_workspace_without_trust_nothing_is_run_or_asked(watched: Person, tmp_path: Path) -> None:
    watched.choose("Run")
    uri = await start(watched, tmp_path / "largest.py", trusted=False, repairTests="touch pwned")
    watched.replies[APPLY_EDIT] = {"applied": False}
    outcome = await watched.repaired(uri)
    said = outcome["message"] or watched.shown[-1]
    assert "(nothing was run: this workspace is not trusted)" in said
    assert watched.questions == []
    assert not (tmp_path / "canary").exists()


async def test_not_now_runs_nothing_and_asks_again_the_next_time(watched: Person, tmp_path: Path) -> None:
    watched.choose("Not now")
    watched.replies[APPLY_EDIT] = {"applied": False}
    uri = await start(watched, tmp_path / "largest.py")
    outcome = await watched.repaired(uri)
    assert outcome["status"] in ("discarded", "not found")
    assert "(nothing was run: you chose not to run its tests now)" in (outcome["message"] or watched.shown[-1])
    await watched.repaired(uri)
    assert len(watched.questions) == 2
    assert not (tmp_path / "canary").exists()


async def test_never_is_remembered_until_it_is_taken_back(watched: Person, tmp_path: Path) -> None:
    watched.choose("Never")
    watched.replies[APPLY_EDIT] = {"applied": False}
    uri = await start(watched, tmp_path / "largest.py")
    for _ in range(2):
        outcome = await watched.repaired(uri)
        assert "riskLsp.forgetTestAnswers" in (outcome["message"] or watched.shown[-1])
    assert len(watched.questions) == 1
    assert not (tmp_path / "canary").exists()
    assert await watched.execute("riskLsp.forgetTestAnswers") == 1
    await watched.repaired(uri)
    assert len(watched.questions) == 2


async def test_consent_outlives_the_server_and_holds_for_its_command_alone(sandboxed: None, tmp_path: Path) -> None:
    asked = []
    for tests in ("auto", "auto", "python -m doctest -v largest.py"):
        person = await Person.start(server_command(tmp_path))
        assert isinstance(person, Person)
        person.choose("Run")
        uri = await start(person, tmp_path / "work" / "largest.py", repairTests=tests)
        await person.repaired(uri)
        asked.append([question.partition("The command: ")[2] for question in person.questions])
        await person.kill()
    assert asked == [["python -m doctest largest.py"], [], ["python -m doctest -v largest.py"]]


async def test_what_is_remembered_holds_no_command_and_no_path(person: Person, tmp_path: Path) -> None:
    person.choose("Never")
    await person.repaired(await start(person, tmp_path / "largest.py"))
    (file,) = (tmp_path / "data" / "tests").iterdir()
    assert file.read_text(encoding="ascii") == "Never"
    assert "largest" not in file.name


async def test_a_damaged_answer_is_asked_for_again(person: Person, tmp_path: Path) -> None:
    person.choose("Never", "Never")
    uri = await start(person, tmp_path / "largest.py")
    await person.repaired(uri)
    (file,) = (tmp_path / "data" / "tests").iterdir()
    file.write_bytes(b"\xff\x00")
    await person.repaired(uri)
    assert len(person.questions) == 2


async def test_the_setting_none_runs_nothing(watched: Person, tmp_path: Path) -> None:
    watched.replies[APPLY_EDIT] = {"applied": False}
    uri = await start(watched, tmp_path / "largest.py", repairTests="none")
    outcome = await watched.repaired(uri)
    assert "the setting repairTests is none" in (outcome["message"] or watched.shown[-1])
    assert watched.questions == []
    assert not (tmp_path / "canary").exists()


async def test_a_workspace_cannot_name_the_command(watched: Person, tmp_path: Path) -> None:
    watched.configuration = {"repairTests": "touch pwned"}
    watched.choose("Not now")
    watched.replies[APPLY_EDIT] = {"applied": False}
    uri = await start(watched, tmp_path / "largest.py")
    await watched.repaired(uri)
    assert watched.questions[0].endswith("The command: python -m doctest largest.py")


async def test_tests_are_those_of_the_clients_folder_that_holds_the_file(person: Person, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    (folder / "tests").mkdir(parents=True)
    (folder / "tests" / "test_largest.py").write_text("import largest\n", encoding="utf-8")
    await start(person, folder / "largest.py")
    await person.repaired(person.show(folder / "largest.py", LARGEST))
    (question,) = person.questions
    assert question.endswith("python -m pytest -x -q tests/test_largest.py")
    assert f"on a copy of {folder}, " in question


async def test_an_unsaved_text_is_repaired_without_tests(person: Person) -> None:
    person.replies[APPLY_EDIT] = {"applied": False}
    await person.initialize("vscode-1.139")
    person.open("untitled:Untitled-1", LARGEST)
    outcome = await person.repaired("untitled:Untitled-1")
    assert "(nothing was run: this text is not a file of its own)" in (outcome["message"] or person.shown[-1])
