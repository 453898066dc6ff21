"""Which place a file's lines are in, in real repositories."""

from __future__ import annotations

import os
import sysconfig
import tempfile
import time
from pathlib import Path

import pytest

from risk_lsp.probe.calibration import PLACES, Place
from risk_lsp.risk.changes import places_of
from risk_lsp.text.document import LineIndex
from risk_lsp.text.source_files import read_source
from tests.risk.repositories import Repository

GENERATED, CHANGED, AT_REST = Place.GENERATED, Place.CHANGED, Place.AT_REST
THREE = "a = 1\nb = 2\nc = 3\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """One commit with three lines in a.py."""
    made = Repository(tmp_path / "repository")
    made.commit(a=THREE)
    return made


def lines_of(path: Path) -> list[Place]:
    """The places of the lines of a file that ends with a line break."""
    found = places_of([path])[0].of_lines(LineIndex(read_source(path)))
    return [PLACES[number] for number in found[:-1]]


def test_lines_that_are_as_in_the_last_commit_are_at_rest(repository: Repository) -> None:
    assert lines_of(repository.folder / "a.py") == [AT_REST] * 3


def test_lines_that_differ_from_the_last_commit_are_changed(repository: Repository) -> None:
    path = repository.write("a.py", THREE.replace("b = 2", "b = 20"))
    assert lines_of(path) == [AT_REST, CHANGED, AT_REST]


def test_staging_a_change_commits_nothing(repository: Repository) -> None:
    path = repository.write("a.py", THREE.replace("b = 2", "b = 20"))
    repository.git("add", "a.py")
    assert lines_of(path) == [AT_REST, CHANGED, AT_REST]


def test_an_untracked_file_is_generated_as_a_whole(repository: Repository) -> None:
    assert lines_of(repository.write("new.py", THREE)) == [GENERATED] * 3


def test_an_ignored_file_is_generated_as_a_whole(repository: Repository) -> None:
    repository.write(".gitignore", "ignored.py\n")
    assert lines_of(repository.write("ignored.py", THREE)) == [GENERATED] * 3


def test_a_file_outside_of_any_repository_is_generated(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(THREE)
    assert lines_of(path) == [GENERATED] * 3


def test_before_the_first_commit_everything_is_generated(tmp_path: Path) -> None:
    path = Repository(tmp_path / "fresh").write("a.py", THREE)
    assert lines_of(path) == [GENERATED] * 3


def test_a_folder_that_git_does_not_take_for_a_repository_is_none(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    path = tmp_path / "a.py"
    path.write_text(THREE)
    assert lines_of(path) == [GENERATED] * 3


def test_without_git_a_file_counts_as_outside_of_a_repository(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert lines_of(repository.folder / "a.py") == [GENERATED] * 3


def test_a_git_that_takes_too_long_is_not_waited_for(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}{os.pathsep}{os.environ['PATH']}")
    begun = time.monotonic()

    assert places_of([repository.folder / "a.py"], seconds=0.2)[0].place is GENERATED
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages", "usr/lib/python3.99", "usr/lib64/python3"])
def test_an_installed_library_is_at_rest(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "library" / "a.py"
    path.parent.mkdir(parents=True)
    path.write_text(THREE)
    assert lines_of(path) == [AT_REST] * 3


def test_an_environment_inside_of_a_repository_is_installed_not_untracked(repository: Repository) -> None:
    path = repository.write(".venv/lib/python3.12/site-packages/a.py", THREE)
    assert lines_of(path) == [AT_REST] * 3


def test_the_standard_library_is_at_rest() -> None:
    path = Path(sysconfig.get_paths()["stdlib"], "textwrap.py")
    assert set(lines_of(path)) == {AT_REST}


def test_a_link_is_in_the_place_of_what_it_points_to(repository: Repository, tmp_path: Path) -> None:
    link = tmp_path / "link.py"
    link.symlink_to(repository.folder / "a.py")
    assert lines_of(link) == [AT_REST] * 3


def test_files_of_several_repositories_come_in_their_order(repository: Repository, tmp_path: Path) -> None:
    other = Repository(tmp_path / "other")
    other.commit(b=THREE)
    new = other.write("new.py", THREE)
    found = places_of([new, repository.folder / "a.py", other.folder / "b.py", new])
    assert [each.place for each in found] == [GENERATED, AT_REST, AT_REST, GENERATED]


def test_many_files_are_told_apart_as_few_are(repository: Repository) -> None:
    names = [f"n{number}" for number in range(210)]
    repository.commit(**dict.fromkeys(names, THREE))
    repository.write("n3.py", "a = 1\nb = 2\nc = 4\n")
    found = places_of([repository.folder / f"{name}.py" for name in [*names, "absent"]])

    assert {each.place for each in found[:-1]} == {AT_REST}
    assert [number for number, each in enumerate(found) if each.changed] == [3]
    assert found[-1].place is GENERATED


def test_a_file_with_an_odd_name_is_itself(repository: Repository) -> None:
    repository.write("*.py", THREE)
    repository.write(":(top)b.py", THREE)
    repository.git("add", "--all")
    repository.git("commit", "-q", "-m", "odd names")
    repository.write("*.py", THREE.replace("a = 1", "a = 10"))

    assert lines_of(repository.folder / "*.py") == [CHANGED, AT_REST, AT_REST]
    assert lines_of(repository.folder / ":(top)b.py") == [AT_REST] * 3
    assert lines_of(repository.folder / "a.py") == [AT_REST] * 3


def test_the_folder_of_temporary_files_is_in_no_repository() -> None:
    """Or the tests above would say nothing about files outside of any."""
    folder = Path(os.path.realpath(tempfile.gettempdir()))
    assert not any((each / ".git").exists() for each in (folder, *folder.parents))
