"""Where it was not measured how often lines need an edit, every report gives their order and says why."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.probe.calibration import Place, Prior, Priors
from risk_lsp.report.check import CheckOptions, CheckResult, check_paths, collect_result
from risk_lsp.report.html_report import html_report
from risk_lsp.report.score import score_file
from risk_lsp.report.text_report import TextStyle, describe_span, text_report
from risk_lsp.report.tool_reports import github_report, json_report, sarif_report
from risk_lsp.report.wording import Tool
from risk_lsp.risk.changes import changes_since
from tests.risk.repositories import Repository
from tests.risk.scorers import REFERENCE, WordScorer, check

TOOL = Tool("tiny", "sha256:aa", "sha256:bb", version="1.2.3")
WHY = "how often lines of code at rest need an edit was not measured"
WHY_CHANGED = "how often changed lines need an edit was not measured"
PROGRAM = "def f(x):\n    return BUG\n\nMAYBE = 1\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """One committed program in a.py."""
    made = Repository(tmp_path / "repository")
    made.commit(a=PROGRAM)
    return made


@pytest.fixture
def path(repository: Repository) -> Path:
    return repository.folder / "a.py"


@pytest.fixture
def result(path: Path) -> CheckResult:
    return check(path, options=CheckOptions(top=2, threshold=0.5))


def data(result: CheckResult) -> dict[str, Any]:
    """The file in the JSON report."""
    found: dict[str, Any] = json.loads(json_report(result, TOOL))["files"][0]
    return found


def test_the_text_gives_ranks_and_no_percentage(result: CheckResult) -> None:
    rows = text_report(result, TextStyle()).splitlines()

    assert rows[0].endswith("a.py: lines in the order to read")
    assert rows[1] == f"  no percentages: {WHY}"
    assert any(re.fullmatch(r" +1st ███ 2 │     return BUG", row) for row in rows)
    assert any(row.startswith("  line 2, 1st: return BUG") for row in rows)
    assert rows[-1] == "1 file, 1 line to read first"
    assert "%" not in "".join(rows)


def test_the_json_keeps_the_numbers_and_says_that_they_are_an_order(result: CheckResult) -> None:
    file = data(result)
    line = file["worth_reading"][0]

    assert (file["gives"], file["place"], file["why"], file["rank"]) == ("order", "at_rest", WHY, None)
    assert [line[name] for name in ("gives", "rank", "of", "place", "why")] == ["order", 1, 3, "at_rest", WHY]
    assert line["probability"] > 0.5 and line["reference"] is None
    assert file["ranks"] == [3, 1, None, 2, None]
    assert file["orders"] == {"at_rest": WHY}


def test_functions_are_ranked_among_functions(repository: Repository) -> None:
    repository.commit(a="def f(x):\n    return 1\n\n\ndef g(x):\n    return BUG\n")
    functions = data(check(repository.folder / "a.py"))["functions"]

    assert [(each["name"], each["gives"], each["rank"], each["of"]) for each in functions] == [
        ("f", "order", 2, 2),
        ("g", "order", 1, 2),
    ]


def test_sarif_gives_the_rank_in_words_and_all_of_it_as_properties(result: CheckResult, path: Path) -> None:
    (found,) = json.loads(sarif_report(result, TOOL, path.parent))["runs"][0]["results"]

    assert found["message"]["text"] == "1st of 3 lines to read"
    assert {name: found["properties"][name] for name in ("gives", "rank", "of", "why")} == {
        "gives": "order",
        "rank": 1,
        "of": 3,
        "why": WHY,
    }


def test_annotations_give_the_rank_and_the_reason(result: CheckResult, path: Path) -> None:
    notice, summary = github_report(result, path.parent).splitlines()

    assert "title=1st of 3 lines to read::" in notice and notice.endswith(f"No percentage: {WHY}")
    assert summary == "1 line to read first"


def test_the_page_shows_ranks_and_its_legend_no_percentage(result: CheckResult) -> None:
    page = html_report(result.reports, TOOL, REFERENCE, threshold=0.5)
    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.S)

    assert "Lines in the order to read" in text and f"No percentages: {WHY}." in " ".join(text.split())
    assert "read first" in text and "1st" in text
    assert "%" not in text


def test_a_query_gives_the_rank_of_the_first_line_to_read_in_the_span(path: Path) -> None:
    said = describe_span(WordScorer(), path, "L1-L2", REFERENCE, Priors())

    assert "a.py 1:1-2:15 (characters 0-24): 1st of 3 lines to read\n" in said
    assert said.endswith(f"  no percentage: {WHY}\n")


def test_a_query_of_a_measured_place_gives_a_percentage(path: Path) -> None:
    said = describe_span(WordScorer(), path, "L2", REFERENCE, Priors(), Place.GENERATED)

    assert "64% likely to need an edit" in said and "the whole file: " in said


def test_a_query_of_a_blank_line_at_rest_has_nothing_to_read(path: Path) -> None:
    assert "no line of code" in describe_span(WordScorer(), path, "L3", REFERENCE, Priors())


def test_an_untracked_file_gives_percentages(repository: Repository) -> None:
    repository.write("new.py", PROGRAM)
    result = check(repository.folder / "new.py")

    assert data(result)["gives"] == "percent" and "why" not in data(result)
    assert "1 line above 30%" in text_report(result, TextStyle())


def test_the_place_that_a_person_names_outweighs_what_git_says(path: Path) -> None:
    assert data(check(path, options=CheckOptions(place=Place.GENERATED)))["gives"] == "percent"


def test_a_changed_line_among_lines_at_rest_is_in_its_own_place(repository: Repository) -> None:
    repository.write("a.py", PROGRAM.replace("return BUG", "return BUG2"))
    file = data(check(repository.folder / "a.py", options=CheckOptions(priors=Priors(changed=Prior(measured=True)))))

    assert file["places"] == ["at_rest", "changed", "at_rest", "at_rest", "at_rest"]
    assert file["place"] == "mixed"
    assert [line["gives"] for line in file["worth_reading"]] == ["percent", "order", "order"]


def test_the_factor_of_the_place_is_in_the_numbers_and_the_threshold_is_for_those(path: Path) -> None:
    priors = Priors(at_rest=Prior(0.01, 0.002))
    file = data(check(path, options=CheckOptions(priors=priors)))

    assert file["lines"][1] == pytest.approx(0.0100, abs=2e-4)
    assert file["findings"] == []


def test_code_at_rest_has_one_finding_for_fifty_lines(repository: Repository) -> None:
    repository.commit(a="BUG\n" * 60)

    assert len(data(check(repository.folder / "a.py"))["findings"]) == 2


def diff(repository: Repository) -> CheckResult:
    options = CheckOptions(threshold=0.5)
    changes = changes_since("HEAD", repository.folder)
    outcomes = check_paths(WordScorer(), [repository.folder], options, REFERENCE, changes)
    return collect_result(outcomes, options, "HEAD")


def test_a_diff_ranks_its_lines_over_all_files(repository: Repository) -> None:
    repository.commit(b=PROGRAM)
    repository.write("a.py", PROGRAM + "x = MAYBE\n")
    repository.write("b.py", PROGRAM + "BUG\n")
    rows = text_report(diff(repository), TextStyle()).splitlines()

    assert [row.split()[:2] for row in rows if ".py:" in row] == [
        ["1st", f"{repository.folder}/b.py:5"],
        ["2nd", f"{repository.folder}/a.py:5"],
    ]
    assert rows[-2] == f"  no percentages: {WHY_CHANGED}"
    assert rows[-1] == "2 changed lines of code in 2 files since HEAD, 1 line to read first"


def test_a_new_file_in_a_diff_is_generated(repository: Repository) -> None:
    repository.write("new.py", "BUG\n")

    assert data(diff(repository))["worth_reading"][0]["place"] == "generated"


def test_the_lines_since_an_older_commit_are_changed_though_they_are_committed(repository: Repository) -> None:
    repository.commit(a=PROGRAM + "BUG\n")
    options = CheckOptions()
    changes = changes_since("HEAD~1", repository.folder)
    outcomes = check_paths(WordScorer(), [repository.folder], options, REFERENCE, changes)

    assert data(collect_result(outcomes, options, "HEAD~1"))["worth_reading"][0]["place"] == "changed"


def test_a_program_outside_of_the_range_says_so_in_its_score(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps({"id": 1, "text": "x = 1\n" * 1000}) + "\n")
    score_file(WordScorer(), source, target, on_progress=lambda _: None)
    record = json.loads(target.read_text())

    assert record["gives"] == "order" and "1,001 lines" in record["why"]
