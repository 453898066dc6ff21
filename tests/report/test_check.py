"""Checking files and folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.probe.manifest import ReferenceTable
from risk_lsp.report.check import CheckOptions, CheckResult, check_paths
from risk_lsp.risk import span_risk as batches
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.text.source_files import NOT_FOR_PROSE
from tests.risk.scorers import WordScorer, check

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
    assert [function.node.name for function, _ in report.functions] == ["f"]


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
    ],
    ids=["binary", "invalid UTF-8", "2.4 MB"],
)
def test_a_bad_file_is_a_failure_of_its_own_and_the_others_are_checked(
    tmp_path: Path, content: bytes, message: str
) -> None:
    bad, good = write(tmp_path / "bad.py", content), write(tmp_path / "good.py")
    result = check(bad, good)
    assert names(result) == ["good.py"]
    assert [failure.path for failure in result.failures] == [bad]
    assert message in result.failures[0].error.message and str(bad) in result.failures[0].error.message


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b" \n\n", "it is empty"), (b"x = 1\n" * 40_000, "it has 240,000 characters, over 200,000 (--max-characters)")],
    ids=["empty", "long"],
)
def test_a_named_file_with_nothing_to_read_or_too_much_is_passed_over_and_is_no_failure(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    odd, good = write(tmp_path / "odd.py", content), write(tmp_path / "good.py")
    result = check(odd, good)
    assert (names(result), result.failures) == (["good.py"], ())
    assert [(each.path, each.reason) for each in result.passed_over] == [(odd, reason)]


@pytest.mark.parametrize("name", ["notes.md", "notes.rst"])
def test_prose_is_passed_over_as_slips_in_it_are_not_found(tmp_path: Path, name: str) -> None:
    result = check(prose := write(tmp_path / name, b"The lines is long.\n"))
    assert (result.reports, result.failures) == ((), ())
    assert [(each.path, each.reason) for each in result.passed_over] == [(prose, NOT_FOR_PROSE)]


def test_it_is_told_how_many_files_are_read_after_how_many_of_all(tmp_path: Path) -> None:
    for number in range(70):
        write(tmp_path / f"{number}.py")
    told: list[tuple[int, int, int]] = []

    def note(paths: Sequence[Path], before: int, of: int) -> None:
        told.append((len(paths), before, of))

    list(check_paths(WordScorer(), [tmp_path], CheckOptions(), ReferenceTable(()), on_batch=note))
    assert told == [(64, 0, 70), (6, 64, 70)]


def test_an_empty_file_in_a_folder_is_nobody_s_fault(tmp_path: Path) -> None:
    write(tmp_path / "__init__.py", "")
    write(tmp_path / "a.py")
    assert (names(check(tmp_path)), check(tmp_path).failures) == (["a.py"], ())


@pytest.mark.parametrize("name", ["missing.py", "empty_folder"])
def test_a_path_without_anything_to_check_is_a_failure_that_names_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty_folder").mkdir()
    (failure,) = check(tmp_path / name).failures
    assert name in failure.error.message and failure.error.hint


class PickyScorer(WordScorer):
    """Refuses a text with REFUSE, and so every run that has one; remembers in which language each text was read."""

    def __init__(self) -> None:
        super().__init__()
        self.languages: list[str] = []

    def score(self, text: str, language_id: str = "python") -> RiskMap:
        self.languages.append(language_id)
        if "REFUSE" in text:
            raise BadInput("this text is refused", "write another one")
        return super().score(text, language_id)


def test_files_are_scored_together(tmp_path: Path) -> None:
    scorer = WordScorer()
    check(*(write(tmp_path / name) for name in ("a.py", "b.py", "c.py")), scorer=scorer)
    assert scorer.together == [3]


@pytest.mark.parametrize(("limit", "most"), [("_ITEMS", 2), ("_CHARACTERS", 2 * len(PROGRAM))])
def test_more_files_than_are_scored_together_come_in_their_order_with_their_own_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(batches, limit, most)
    scorer = WordScorer()
    for name in "abcde":
        write(tmp_path / f"{name}.py", PROGRAM if name in "ad" else PROGRAM.replace("BUG", "fix"))
    result = check(tmp_path, scorer=scorer)
    assert scorer.together == [2, 2, 1]
    assert [(report.path.stem, report.document > 0.5) for report in result.reports] == [
        ("a", True),
        ("b", False),
        ("c", False),
        ("d", True),
        ("e", False),
    ]


def test_a_text_that_cannot_be_scored_is_a_failure_of_its_own_and_the_others_are_checked(tmp_path: Path) -> None:
    good, bad, other = (
        write(tmp_path / f"{name}.py", text) for name, text in zip("abc", ("x", "REFUSE", "y"), strict=True)
    )
    result = check(good, bad, other, scorer=PickyScorer())
    assert names(result) == ["a.py", "c.py"]
    assert [(failure.path, failure.error.message) for failure in result.failures] == [(bad, "this text is refused")]


def test_files_of_several_languages_are_read_as_what_they_are(tmp_path: Path) -> None:
    scorer = PickyScorer()
    check(*(write(tmp_path / name) for name in ("a.py", "b.js", "c.js", "d.py")), scorer=scorer)
    assert scorer.languages == ["python", "javascript", "javascript", "python"] and scorer.together == [1, 2, 1]


@pytest.mark.parametrize("options", [{"top": -1}, {"threshold": 1.5}, {"threshold": float("nan")}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=r"is -1|is 1\.5|is nan"):
        CheckOptions(**options)  # type: ignore[arg-type]
