"""A repository that wants git to run its programs gets none of them run."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.risk.changes import changes_since
from tests.risk.repositories import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository whose file a.py changed after the first commit."""
    made = Repository(tmp_path / "repository")
    made.commit(a="x = 1\n")
    return made


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A program that leaves a trace beside it when it is run."""
    program = tmp_path / "canary"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/sung\nexec cat\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def has_sung(canary: Path) -> bool:
    return canary.with_name("sung").exists()


HOSTILE_SETTINGS = [
    "core.fsmonitor",
    "core.pager",
    "pager.diff",
    "core.sshCommand",
    "diff.external",
    "diff.evil.command",
    "diff.evil.textconv",
    "filter.evil.clean",
    "filter.evil.process",
    "filter.evil.smudge",
]


@pytest.mark.parametrize("setting", HOSTILE_SETTINGS)
def test_no_program_that_a_repository_configures_is_run(repository: Repository, canary: Path, setting: str) -> None:
    repository.write(".gitattributes", "*.py diff=evil filter=evil\n")
    repository.git("config", setting, str(canary))
    repository.git("config", "filter.evil.required", "true")
    repository.write("a.py", "x = 2\n")
    changes = changes_since("HEAD", repository.folder)
    assert not has_sung(canary)
    assert repository.folder / "a.py" in changes.ranges


def test_the_canary_sings_when_git_is_let_loose(repository: Repository, canary: Path) -> None:
    repository.write(".gitattributes", "*.py filter=evil\n")
    repository.git("config", "filter.evil.clean", str(canary))
    repository.write("a.py", "x = 2\n")
    repository.git("diff", "HEAD")
    assert has_sung(canary)


@pytest.mark.parametrize("folder", [".git/hooks", "elsewhere"])
def test_no_hook_is_run(repository: Repository, canary: Path, folder: str) -> None:
    for name in ("post-index-change", "fsmonitor-watchman", "pre-commit"):
        hook = repository.write(f"{folder}/{name}", canary.read_text())
        hook.chmod(0o755)
    repository.git("config", "core.hooksPath", str(repository.folder / folder))
    os.utime(repository.folder / "a.py", (1, 1))  # git would note in its index that nothing changed
    changes_since("HEAD", repository.folder)
    assert not has_sung(canary)


def test_what_a_partial_clone_lacks_is_not_fetched(repository: Repository, canary: Path) -> None:
    for name, value in [
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.url", f"ext::{canary}"),
        ("remote.origin.promisor", "true"),
        ("protocol.ext.allow", "always"),
    ]:
        repository.git("config", name, value)
    blob = repository.git("rev-parse", "HEAD:a.py").strip()
    (repository.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    repository.write("a.py", "x = 2\n")
    with pytest.raises(BadInput):
        changes_since("HEAD", repository.folder)
    assert not has_sung(canary)


def test_a_filter_whose_name_could_hide_its_value_is_refused(repository: Repository, canary: Path) -> None:
    repository.write(".gitattributes", "*.py filter=a=b\n")
    repository.git("config", "filter.a=b.clean", str(canary))
    repository.write("a.py", "x = 2\n")
    with pytest.raises(BadInput, match=r"filter\.a=b\.clean"):
        changes_since("HEAD", repository.folder)
    assert not has_sung(canary)


@pytest.mark.parametrize("folder", [".", "", "bin"])
def test_a_git_of_the_repository_itself_is_not_run(
    repository: Repository, canary: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = repository.write(f"{folder or '.'}/git", canary.read_text())
    program.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([folder, os.environ["PATH"]]))
    monkeypatch.chdir(repository.folder)
    changes_since("HEAD", repository.folder)
    assert not has_sung(canary)


def test_looking_does_not_write_to_the_repository(repository: Repository) -> None:
    os.utime(repository.folder / "a.py", (1, 1))  # git would note in its index that nothing changed
    before = {path: path.stat().st_mtime_ns for path in (repository.folder / ".git").rglob("*")}
    changes_since("HEAD", repository.folder)
    assert {path: path.stat().st_mtime_ns for path in (repository.folder / ".git").rglob("*")} == before


def test_a_repository_that_git_refuses_is_refused_in_git_s_words(repository: Repository) -> None:
    repository.write(".git/config", "[core\n")
    with pytest.raises(BadInput, match="bad config"):
        changes_since("HEAD", repository.folder)
