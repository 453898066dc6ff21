"""The review of what was generated since the last commit."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.server.lsp_client import LspClient, ResponseError

REVIEW = "riskLsp.reviewGenerated"
CANCELLED = -32800


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with one commit, and a file with a likely line in it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "old.py").write_text("old = BUG\nother = 1\n", encoding="utf-8")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder)]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *arguments], check=True)
    return folder


async def begin(client: LspClient, folder: Path | None, **settings: Any) -> None:
    folders = [] if folder is None else [{"uri": folder.as_uri(), "name": "project"}]
    await client.initialize("nvim-0.12", workspaceFolders=folders, initializationOptions={"threshold": 0.1, **settings})


async def test_changed_lines_of_all_files_come_the_likeliest_first(client: LspClient, project: Path) -> None:
    (project / "old.py").write_text("old = BUG\nother = MAYBE\n", encoding="utf-8")
    (project / "new.py").write_text("first = 1\n    second = BUG\n", encoding="utf-8")
    await begin(client, project)
    answer = await client.execute(REVIEW)

    assert [line["text"] for line in answer["lines"]] == ["second = BUG", "other = MAYBE"]
    first = answer["lines"][0]
    assert first["uri"] == (project / "new.py").as_uri()
    assert first["range"] == {"start": {"line": 1, "character": 4}, "end": {"line": 1, "character": 16}}
    assert (first["label"], first["sentence"]) == ("63%", "63% likely to need an edit")
    assert answer["message"] == "2 lines above 10% in 2 files with changes since the last commit"


async def test_where_nothing_stands_out_it_says_what_was_read(client: LspClient, project: Path) -> None:
    (project / "new.py").write_text("first = 1\n", encoding="utf-8")
    await begin(client, project)
    answer = await client.execute(REVIEW)

    assert answer["lines"] == []
    assert answer["message"] == "no line above 10% in 1 file with changes since the last commit"


@pytest.mark.parametrize(
    ("settings", "why"), [({"trusted": False}, "this workspace is not trusted"), ({"enabled": False}, "turned off")]
)
async def test_it_is_refused_where_nothing_may_be_read(
    client: LspClient, project: Path, settings: dict[str, Any], why: str
) -> None:
    await begin(client, project, **settings)
    with pytest.raises(ResponseError, match=why):
        await client.execute(REVIEW)


async def test_without_a_folder_or_a_repository_it_says_what_is_missing(client: LspClient, tmp_path: Path) -> None:
    await begin(client, None)
    with pytest.raises(ResponseError, match="no folder is open"):
        await client.execute(REVIEW)
    added = {"added": [{"uri": tmp_path.as_uri(), "name": "bare"}], "removed": []}
    client.notify("workspace/didChangeWorkspaceFolders", {"event": added})
    with pytest.raises(ResponseError, match="is not in a git repository"):
        await client.execute(REVIEW)


async def test_where_no_folder_is_open_it_is_the_repository_of_the_document(client: LspClient, project: Path) -> None:
    (project / "inside").mkdir()
    (project / "inside" / "new.py").write_text("first = 1\n", encoding="utf-8")
    (project / "old.py").write_text("changed = BUG\n", encoding="utf-8")
    await begin(client, None)

    answer = await client.execute(REVIEW, (project / "inside" / "new.py").as_uri())
    assert [line["text"] for line in answer["lines"]] == ["changed = BUG"]


async def test_a_review_that_is_cancelled_lets_the_next_one_begin(
    client: LspClient, project: Path, tmp_path: Path
) -> None:
    (project / "new.py").write_text("first = STALL\n", encoding="utf-8")
    await begin(client, project)
    params = {"command": REVIEW, "arguments": [], "workDoneToken": "review"}
    request = client.send_request("workspace/executeCommand", params)
    while not (tmp_path / "runs").exists():
        await asyncio.sleep(0.01)
    client.notify("window/workDoneProgress/cancel", {"token": "review"})
    with pytest.raises(ResponseError) as caught:
        await client.result_of(request)
    assert caught.value.code == CANCELLED

    (project / "new.py").write_text("first = BUG\n", encoding="utf-8")
    (tmp_path / "release").touch()
    assert [line["text"] for line in (await client.execute(REVIEW))["lines"]] == ["first = BUG"]
