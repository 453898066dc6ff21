"""Checking files and folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.risk.check import CheckOptions, CheckResult
from tests.risk.scorers import check

PROGRAM = "def f(x):\n    return BUG\n\nMAYBE = 1\n"


def write(path: Path, content: str | bytes = PROGRAM) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def names(result: CheckResult) -> list[str]:
    return [report.path.name for report in result.reports]


def test_the_lines_most_worth_reading_come_with_their_words_and_what_their_number_has_meant(tmp_path: Path) -> None:
    (report,) = check(write(tmp_path / "a.py"), options=CheckOptions(top=2)).reports
    first, second = report.worth_reading
    assert (first.line, report.text[slice(*first.span)]) == (1, "return BUG")
    assert [report.text[slice(*word)] for word in first.words] == ["return", "BUG"]
    assert first.reference == "of lines scored 50-90%, 58% were edited, n = 612"
    assert (second.line, second.reference) == (3, None)


def test_findings_are_all_lines_above_the_threshold_however_few_are_named(tmp_path: Path) -> None:
    file = write(tmp_path / "a.py", "BUG1\nBUG2\nBUG3\nfine\n")
    (report,) = check(file, options=CheckOptions(top=1, threshold=0.5)).reports
    assert ([line.line for line in report.findings], len(report.worth_reading)) == ([0, 1, 2], 1)


def test_comments_and_docstrings_have_probabilities_but_are_never_pointed_at(tmp_path: Path) -> None:
    (report,) = check(write(tmp_path / "a.py", '"""\nBUG\n"""\n# BUG\nx = MAYBE\n')).reports
    assert (report.line_probabilities[[1, 3]] > 0.5).all() and report.findings == ()
    assert [line.line for line in report.worth_reading] == [4]


def test_functions_are_part_of_the_report(tmp_path: Path) -> None:
    (report,) = check(write(tmp_path / "a.py")).reports
    assert [function.node.name for function in report.functions] == ["f"]


def test_a_file_with_a_syntax_error_is_checked_like_any_other(tmp_path: Path) -> None:
    (report,) = check(write(tmp_path / "a.py", "def f(:\n  return BUG\n")).reports
    assert report.worth_reading[0].line == 1


def test_a_folder_is_walked_for_python_files_in_order(tmp_path: Path) -> None:
    for name in ("b.py", "a/z.py", "a/y.py", "notes.txt", "c.pyc"):
        write(tmp_path / name)
    assert names(check(tmp_path)) == ["b.py", "y.py", "z.py"]


@pytest.mark.parametrize("folder", [".git", ".venv", "node_modules", "build", "x.egg-info", "__pycache__"])
def test_folders_that_are_not_the_project_are_left_out(tmp_path: Path, folder: str) -> None:
    write(tmp_path / folder / "deep" / "a.py")
    write(tmp_path / "kept.py")
    assert names(check(tmp_path)) == ["kept.py"]


def test_a_virtual_environment_is_left_out_by_any_name(tmp_path: Path) -> None:
    write(tmp_path / "py311" / "pyvenv.cfg", "home = /usr/bin\n")
    write(tmp_path / "py311" / "lib" / "a.py")
    write(tmp_path / "kept.py")
    assert names(check(tmp_path)) == ["kept.py"]


def test_a_hidden_folder_that_was_named_is_walked(tmp_path: Path) -> None:
    write(tmp_path / ".hidden" / "a.py")
    assert names(check(tmp_path / ".hidden")) == ["a.py"]


def test_a_file_named_twice_is_checked_once(tmp_path: Path) -> None:
    write(tmp_path / "a.py")
    assert names(check(tmp_path / "a.py", tmp_path)) == ["a.py"]


def test_a_named_file_of_any_language_is_checked(tmp_path: Path) -> None:
    (report,) = check(write(tmp_path / "a.js", "let BUG = 1\n")).reports
    assert (report.language_id, report.worth_reading[0].line) == ("javascript", 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x7fELF\0\0", "binary"),
        (b"x = '\xff'\n", "not valid UTF-8"),
        (b"x = 1\n" * 400_000, "too large"),
        (b" \n\n", "is empty"),
    ],
    ids=["binary", "invalid UTF-8", "2.4 MB", "empty"],
)
def test_a_bad_file_is_a_failure_of_its_own_and_the_others_are_checked(
    tmp_path: Path, content: bytes, message: str
) -> None:
    bad, good = write(tmp_path / "bad.py", content), write(tmp_path / "good.py")
    result = check(bad, good)
    assert names(result) == ["good.py"]
    assert [failure.path for failure in result.failures] == [bad]
    assert message in result.failures[0].error.message and str(bad) in result.failures[0].error.message


def test_an_empty_file_in_a_folder_is_nobody_s_fault(tmp_path: Path) -> None:
    write(tmp_path / "__init__.py", "")
    write(tmp_path / "a.py")
    assert (names(check(tmp_path)), check(tmp_path).failures) == (["a.py"], ())


@pytest.mark.parametrize("name", ["missing.py", "empty_folder"])
def test_a_path_without_anything_to_check_is_a_failure_that_names_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty_folder").mkdir()
    (failure,) = check(tmp_path / name).failures
    assert name in failure.error.message and failure.error.hint


@pytest.mark.parametrize("options", [{"top": -1}, {"threshold": 1.5}, {"threshold": float("nan")}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=r"is -1|is 1\.5|is nan"):
        CheckOptions(**options)  # type: ignore[arg-type]
