"""docs/architecture.md: its files exist, its names stand in them, and an edit passes the files that it tells of."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
MOST_FILES = 32
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")
WALKS = dict(re.findall(r"\*\*(A new [\w ]+)\*\*\n((?:- .*\n(?:  .*\n)*)+)", PAGE))


def marked(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def file_of(path: str) -> Path | None:
    """The file or folder that the page means: of the repository, or of the package."""
    return next((place for root in (ROOT, ROOT / "risk_lsp") if (place := root / path).exists()), None)


def paths_in(text: str) -> list[str]:
    """The paths that are told, but for those of files that do not exist yet."""
    words = [word.removeprefix("python ") for word in marked(text)]
    return [word for word in words if PATH.fullmatch(word) and ("/" in word or "." in word) and "NAME" not in word]


@pytest.mark.parametrize("path", sorted(set(paths_in(PAGE))))
def test_the_page_names_files_that_exist(path: str) -> None:
    assert file_of(path) is not None


@pytest.mark.parametrize("walk", WALKS)
def test_the_names_of_a_walk_stand_in_its_files(walk: str) -> None:
    files = [file for path in paths_in(WALKS[walk]) if (file := file_of(path)) is not None and file.is_file()]
    code = "\n".join(file.read_text("utf-8") for file in files)
    names = [word for word in marked(WALKS[walk]) if re.fullmatch(r"\w+|--\w+", word)]
    assert names and [name for name in names if not re.search(rf"(?<!\w){re.escape(name)}\b", code)] == []


def test_there_are_five_walks() -> None:
    assert list(WALKS) == [
        f"A new {thing}" for thing in ("setting", "report format", "code action", "decoder", "metric")
    ]


def test_an_edit_passes_the_files_that_the_page_tells_of() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "walk_of_an_edit.py")]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    passed = set(re.findall(r"^  (\S+\.py)$", out, re.MULTILINE))
    assert {"server/documents/open_documents.py", "risk/engine_worker.py", "server/documents/publisher.py"} <= passed
    assert passed - set(paths_in(PAGE)) == set()
    assert f"{len(passed)} files" in out.splitlines()[-1] and len(passed) <= MOST_FILES
