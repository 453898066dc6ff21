"""Files that another program writes while they are not open: what changed in them is generated once they are opened."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.server.documents.test_generated import FUNCTION
from tests.server.lsp_client import LspClient

OLD = "import math\n\nprint(math.pi)\n"
LENGTH = len(FUNCTION.splitlines())
CREATED, CHANGED, DELETED = 1, 2, 3


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A committed file, to which a program then adds a function."""
    folder = tmp_path / "project"
    folder.mkdir()
    file = folder / "old.py"
    file.write_text(OLD, encoding="utf-8")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder)]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *arguments], check=True)
    file.write_text(OLD + FUNCTION, encoding="utf-8")
    return file


def tell(client: LspClient, file: Path, *kinds: int) -> None:
    changes = [{"uri": file.as_uri(), "type": kind} for kind in kinds]
    client.notify("workspace/didChangeWatchedFiles", {"changes": changes})


async def places(client: LspClient, file: Path) -> list[str]:
    """The places of the lines once the file is opened."""
    client.open(file.as_uri(), file.read_text(encoding="utf-8"))
    found = (await client.request("riskLsp/lines", {"uri": file.as_uri()}))["places"]
    assert isinstance(found, list)
    return found[:-1]  # behind the last line end is an empty one


@pytest.mark.parametrize("kind", [CREATED, CHANGED])
async def test_what_a_program_wrote_is_generated(client: LspClient, file: Path, kind: int) -> None:
    await client.initialize()
    tell(client, file, kind)
    assert await places(client, file) == ["at_rest"] * 3 + ["generated"] * LENGTH


async def test_what_was_there_when_the_editor_began_has_changed(client: LspClient, file: Path) -> None:
    await client.initialize()
    assert await places(client, file) == ["at_rest"] * 3 + ["changed"] * LENGTH


async def test_what_the_editor_saves_itself_has_changed(client: LspClient, file: Path) -> None:
    await client.initialize()
    uri = file.as_uri()
    client.open(uri, OLD)
    client.notify("textDocument/didSave", {"textDocument": {"uri": uri}})
    client.close(uri)
    tell(client, file, CHANGED)
    assert await places(client, file) == ["at_rest"] * 3 + ["changed"] * LENGTH


async def test_few_lines_have_changed(client: LspClient, file: Path) -> None:
    await client.initialize()
    file.write_text(OLD + "print(2)\n", encoding="utf-8")
    tell(client, file, CHANGED)
    assert await places(client, file) == ["at_rest"] * 3 + ["changed"]


async def test_few_lines_are_generated_where_the_setting_says_so(client: LspClient, file: Path) -> None:
    await client.initialize(initializationOptions={"generatedLines": 1})
    file.write_text(OLD + "print(2)\nprint(3)\n", encoding="utf-8")
    tell(client, file, CHANGED)
    assert await places(client, file) == ["at_rest"] * 3 + ["generated"] * 2


async def test_a_file_that_was_removed_and_restored_by_hand_is_forgotten(client: LspClient, file: Path) -> None:
    await client.initialize()
    tell(client, file, CHANGED, DELETED)
    assert await places(client, file) == ["at_rest"] * 3 + ["changed"] * LENGTH


async def test_without_trust_nothing_is_taken_note_of(client: LspClient, file: Path) -> None:
    await client.initialize(initializationOptions={"trusted": False})
    tell(client, file, CHANGED)
    client.notify("riskLsp/userSettings", {"trusted": True})
    assert await places(client, file) == ["at_rest"] * 3 + ["changed"] * LENGTH


async def test_files_are_not_read_before_they_are_opened(client: LspClient, file: Path, tmp_path: Path) -> None:
    await client.initialize()
    file.unlink()
    file.mkdir()  # reading it would fail
    for _ in range(50):
        tell(client, file, CHANGED)
    client.open("file:///other.py", "x = BUG\n")
    assert len(await client.diagnostics("file:///other.py", 1)) == 1
    await asyncio.sleep(0.1)
    assert client.all_of("window/showMessage") == []
