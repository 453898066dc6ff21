"""Reports on what changed: whole files are read, changed lines pointed at."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from risk_lsp.probe.calibration import Prior, Priors
from risk_lsp.report.check import CheckOptions, CheckResult, check_paths, collect_result
from risk_lsp.report.html_report import html_report
from risk_lsp.report.text_report import TextStyle, svg_report, text_report
from risk_lsp.report.tool_reports import github_report, json_report, sarif_report
from risk_lsp.report.wording import Tool
from risk_lsp.risk.changes import changes_since
from tests.risk.repositories import Repository
from tests.risk.scorers import REFERENCE, WordScorer

TOOL = Tool("tiny", "sha256:aa", "sha256:bb", version="1.2.3")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Old mistakes in three files, of which two get new ones."""
    made = Repository(tmp_path / "repository")
    made.commit(a="BUG_old\nx = 1\n", b="BUG_old\n", untouched="BUG_old\n")
    made.write("a.py", "BUG_old\nx = MAYBE\n# BUG new\n")
    made.write("b.py", "BUG_old\nBUG_new\nBUG_new BUG_new\n")
    return made


MEASURED = Priors(changed=Prior(measured=True))


def checked(
    repository: Repository,
    *names: str,
    scorer: WordScorer | None = None,
    top: int = 3,
    priors: Priors = MEASURED,
) -> CheckResult:
    options = CheckOptions(top, threshold=0.5, priors=priors)
    paths = [repository.folder / name for name in names or ("",)]
    changes = changes_since("HEAD", repository.folder)
    return collect_result(check_paths(scorer or WordScorer(), paths, options, REFERENCE, changes), options, "HEAD")


def text(result: CheckResult) -> str:
    return text_report(result, TextStyle())


def test_the_model_reads_changed_files_as_a_whole_and_no_others(repository: Repository) -> None:
    scorer = WordScorer()
    checked(repository, scorer=scorer)
    assert [text.splitlines()[0] for text in scorer.texts] == ["BUG_old", "BUG_old"]


def test_only_changed_lines_of_code_are_findings(repository: Repository) -> None:
    found = [(report.path.name, line.line) for report in checked(repository).reports for line in report.findings]
    assert found == [("b.py", 2), ("b.py", 1)]


def test_the_text_names_the_lines_worth_reading_over_all_files(repository: Repository) -> None:
    rows = text(checked(repository)).splitlines()
    assert rows[0] == "The 3 lines worth reading in this diff"
    places = [row.split()[:2] for row in rows[1:] if ".py:" in row]
    folder = repository.folder
    assert places == [["86%", f"{folder}/b.py:3"], ["63%", f"{folder}/b.py:2"], ["20%", f"{folder}/a.py:2"]]
    assert rows[-1] == "3 changed lines of code in 2 files since HEAD, 2 lines above 50%"


def test_the_text_says_why_and_what_such_a_number_has_meant(repository: Repository) -> None:
    assert "most of it from `BUG_new`; of lines scored 50-90%, 58% were edited, n = 612" in text(checked(repository))


def test_the_number_of_lines_named_can_be_chosen_and_counts_over_all_files(repository: Repository) -> None:
    result = checked(repository, top=1)
    assert text(result).startswith("The line worth reading in this diff\n")
    assert [len(report.worth_reading) for report in result.reports] == [0, 1]


def test_a_diff_without_code_says_so(repository: Repository) -> None:
    repository.git("checkout", "-q", "--", ".")
    assert text(checked(repository)) == "No line of code was added or changed since HEAD\n"


def test_a_file_outside_of_the_calibrated_range_says_so(repository: Repository) -> None:
    repository.write("a.js", "BUG\n")
    assert "a.js is outside the calibrated range" in text(checked(repository, "a.js"))


def test_the_json_report_says_what_was_compared_and_which_lines_changed(repository: Repository) -> None:
    report = json.loads(json_report(checked(repository), TOOL))
    assert report["base"] == "HEAD"
    assert [file["changed"] for file in report["files"]] == [[2, 3], [2, 3]]


def test_the_sarif_log_and_the_annotations_hold_changed_lines_only(repository: Repository) -> None:
    result = checked(repository)
    log = json.loads(sarif_report(result, TOOL, repository.folder))
    lines = [each["locations"][0]["physicalLocation"]["region"]["startLine"] for each in log["runs"][0]["results"]]
    assert lines == [2, 3]
    assert "line=1," not in github_report(result, repository.folder)


def test_the_picture_shows_the_same_as_the_text(repository: Repository) -> None:
    assert "worth&#160;reading&#160;in&#160;this&#160;diff" in svg_report(checked(repository), "risk-lsp check")


def test_the_page_has_numbers_for_changed_lines_only(repository: Repository) -> None:
    page = html_report(checked(repository).reports, TOOL, REFERENCE)
    with_number = re.findall(r'id="(f\d-\d)"[^>]*><td class="chance">[^<]', page)
    assert with_number == ["f1-2", "f2-2", "f2-3"]


def test_deleted_renamed_and_unchanged_files_may_be_named(repository: Repository) -> None:
    repository.git("mv", "untouched.py", "moved.py")
    (repository.folder / "b.py").unlink()
    result = checked(repository, "b.py", "untouched.py", "moved.py", "a.py")
    assert ([report.path.name for report in result.reports], result.failures) == (["a.py"], ())


def test_a_changed_file_that_is_not_text_is_a_failure(repository: Repository) -> None:
    repository.write("b.py", b"\0\1")
    (failure,) = checked(repository).failures
    assert "binary" in failure.error.message


def test_a_path_outside_of_the_repository_is_a_failure(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("BUG\n")
    (failure,) = checked(repository, "../other.py").failures
    assert "is not in the repository" in failure.error.message


def test_a_missing_file_is_a_failure_as_ever(repository: Repository) -> None:
    assert "does not exist" in checked(repository, "missing.py").failures[0].error.message
