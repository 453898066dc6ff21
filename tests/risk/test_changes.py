"""What changed since a commit, in real repositories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.risk.changes import Changes, changed_mask, changes_since
from risk_lsp.text.document import LineIndex
from risk_lsp.text.source_files import FoundFile, read_source
from tests.risk.repositories import Repository

TEN = "".join(f"line_{number} = {number}\n" for number in range(1, 11))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """One commit with ten lines in a.py."""
    made = Repository(tmp_path / "repository")
    made.commit(a=TEN)
    return made


def changed(
    repository: Repository, name: str | bytes = "a.py", base: str = "HEAD", *, named: bool = False
) -> list[int]:
    """The changed lines of a file, counted from 1."""
    path = repository.folder / os.fsdecode(name)
    ranges = changes_since(base, repository.folder).of(FoundFile(path, named))
    return [
        line + 1 for line, is_changed in enumerate(changed_mask(LineIndex(read_source(path)), ranges)) if is_changed
    ]


def test_a_file_that_did_not_change_has_no_changed_lines(repository: Repository) -> None:
    assert changed(repository) == []


def test_changed_and_added_lines_are_changed_and_those_around_them_are_not(repository: Repository) -> None:
    repository.write("a.py", TEN.replace("line_2 = 2", "line_2 = 20").replace("line_9 = 9\n", "line_9 = 9\nnew = 1\n"))
    assert changed(repository) == [2, 10]


def test_changes_one_line_apart_stay_apart_whatever_git_is_told_to_show(repository: Repository) -> None:
    for setting in ("diff.interHunkContext", "diff.context"):
        repository.git("config", setting, "5")
    repository.write("a.py", TEN.replace("= 2\n", "= 20\n").replace("= 4\n", "= 40\n"))
    assert changed(repository) == [2, 4]


def test_a_deleted_line_leaves_nothing_to_read(repository: Repository) -> None:
    repository.write("a.py", TEN.replace("line_2 = 2\n", ""))
    assert changed(repository) == []


def test_committed_staged_and_unstaged_changes_all_count(repository: Repository) -> None:
    repository.git("tag", "before")
    repository.commit(a=TEN.replace("= 2\n", "= 20\n"))
    repository.write("a.py", TEN.replace("= 2\n", "= 20\n").replace("= 4\n", "= 40\n"))
    repository.git("add", "a.py")
    repository.write("a.py", TEN.replace("= 2\n", "= 20\n").replace("= 4\n", "= 40\n").replace("= 6\n", "= 60\n"))
    assert changed(repository, base="before") == [2, 4, 6]


def test_a_new_file_is_changed_as_a_whole_before_and_after_git_add(repository: Repository) -> None:
    repository.write("new.py", "x = 1\ny = 2\n")
    assert changed(repository, "new.py") == [1, 2, 3]
    repository.git("add", "new.py")
    assert changed(repository, "new.py") == [1, 2]


def test_a_renamed_file_is_changed_where_its_text_is(repository: Repository) -> None:
    repository.git("mv", "a.py", "moved.py")
    repository.write("moved.py", TEN.replace("= 2\n", "= 20\n"))
    assert changed(repository, "moved.py") == [2]


def test_a_file_that_was_only_renamed_is_not_changed(repository: Repository) -> None:
    repository.git("mv", "a.py", "moved.py")
    assert changed(repository, "moved.py") == []


@pytest.mark.parametrize("remove", [["rm", "-q", "a.py"], ["mv", "a.py", "moved.py"]], ids=["deleted", "renamed"])
def test_a_file_that_is_gone_is_nothing_to_check_even_if_it_is_named(repository: Repository, remove: list[str]) -> None:
    repository.git(*remove)
    gone = FoundFile(repository.folder / "a.py", named=True)
    assert changes_since("HEAD", repository.folder).of(gone) == ()


def test_a_file_that_git_shows_no_diff_of_is_changed_as_a_whole(repository: Repository) -> None:
    repository.write(".gitattributes", "*.py -diff\n")
    repository.write("a.py", TEN.replace("= 2\n", "= 20\n"))
    assert changed(repository) == list(range(1, 12))


def test_a_changed_binary_file_does_not_hide_the_others(repository: Repository) -> None:
    repository.write("picture.png", b"\0\1")
    repository.commit()
    repository.write("picture.png", b"\0\2")
    repository.write("a.py", TEN.replace("= 2\n", "= 20\n"))
    assert changed(repository) == [2]


def test_an_ignored_file_is_changed_only_if_it_is_named(repository: Repository) -> None:
    repository.write(".gitignore", "made.py\n")
    repository.write("made.py", "x = 1\n")
    assert changed(repository, "made.py") == []
    assert changed(repository, "made.py", named=True) == [1, 2]


def test_a_link_is_no_change_of_what_it_points_to(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "outside.py").write_text("x = 1\n")
    (repository.folder / "link.py").symlink_to(tmp_path / "outside.py")
    assert changed(repository, "link.py") == []


def test_content_that_looks_like_a_diff_is_content(repository: Repository) -> None:
    repository.write("a.py", "++ b/other.py\n@@ -1 +1,9 @@\ndiff --git a/x b/x\n" + TEN)
    repository.write("b.py", "x\n")
    assert changed(repository) == [1, 2, 3]


@pytest.mark.parametrize("text", ["x = 1", "x = 1\ny = 2"], ids=["one line", "two lines"])
def test_a_last_line_without_a_line_break_is_a_line(repository: Repository, text: str) -> None:
    repository.commit(end="x = 0")
    repository.write("end.py", text)
    assert changed(repository, "end.py") == list(range(1, text.count("\n") + 2))


def test_line_ends_that_change_are_no_change_of_their_lines(repository: Repository) -> None:
    repository.write("a.py", TEN.replace("\n", "\r\n").replace("line_4 = 4", "line_4 = 40"))
    assert changed(repository) == [4]


def test_a_lone_carriage_return_ends_a_line_of_ours_but_not_one_of_git_s(repository: Repository) -> None:
    repository.commit(old="a\rb\nc\rd\r\ne\n")
    repository.write("old.py", "a\rb\nc\rX\r\ne\n")
    assert changed(repository, "old.py") == [3, 4]


NAMES = [
    "with space.py",
    "naïve 例.py",
    'quo"te\\.py',
    "tab\t例.py",
    "line\nbreak.py",
    b"not utf-8 \xff.py",
    "-p.py",
    "b/a.py",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_of_any_kind_are_read_right(repository: Repository, name: str | bytes) -> None:
    try:
        repository.write(name, TEN)
    except OSError:
        pytest.skip("this file system has no such names")
    repository.commit()
    repository.git("config", "core.quotePath", "false")
    repository.write(name, TEN.replace("= 2\n", "= 20\n"))
    assert changed(repository, name) == [2]


def test_the_whole_repository_is_compared_from_any_folder_in_it(repository: Repository) -> None:
    repository.write("a.py", TEN.replace("= 2\n", "= 20\n"))
    below = repository.write("src/b.py", "x = 1\n").parent
    changes = changes_since("HEAD", below)
    assert set(changes.ranges) == {repository.folder / "a.py", repository.folder / "src" / "b.py"}


def test_configured_prefixes_colours_and_pagers_change_nothing(repository: Repository) -> None:
    for name, value in [("diff.noprefix", "true"), ("color.ui", "always"), ("core.quotePath", "false")]:
        repository.git("config", name, value)
    repository.write("ä b.py", TEN)
    repository.commit()
    repository.write("ä b.py", TEN.replace("= 2\n", "= 20\n"))
    assert changed(repository, "ä b.py") == [2]


# --- what cannot be compared


@pytest.mark.parametrize("base", ["no-such-branch", "", "-p", "--output=x", "HEAD:a.py", "main..main"])
def test_an_unknown_base_is_named_with_the_way_out(repository: Repository, base: str) -> None:
    with pytest.raises(BadInput, match="knows no such commit") as caught:
        changes_since(base, repository.folder)
    assert f"--diff {base}" in caught.value.message and "branch or tag" in caught.value.hint


def test_a_repository_without_commits_has_nothing_to_compare_with(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="knows no such commit"):
        changes_since("HEAD", Repository(tmp_path).folder)


def test_a_folder_outside_of_any_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not in a git repository") as caught:
        changes_since("HEAD", tmp_path)
    assert str(tmp_path) in caught.value.message


def test_git_that_is_not_there_is_named(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="git is not installed"):
        changes_since("HEAD", repository.folder)


def test_a_path_of_another_place_is_refused(repository: Repository, tmp_path: Path) -> None:
    changes: Changes = changes_since("HEAD", repository.folder)
    changes.require_inside(repository.folder / "a.py")
    with pytest.raises(BadInput, match="is not in the repository"):
        changes.require_inside(tmp_path)
