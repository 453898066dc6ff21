"""The reports: text for people, JSON and SARIF for programs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from risk_lsp.probe.manifest import ReferenceTable
from risk_lsp.report.check import CheckOptions, CheckResult
from risk_lsp.report.html_report import html_report
from risk_lsp.report.text_report import TextStyle, svg_report, text_report
from risk_lsp.report.tool_reports import MOST_RESULTS, github_report, json_report, sarif_report
from risk_lsp.report.wording import Tool
from tests.conftest import FIXTURES
from tests.risk.scorers import check

TOOL = Tool("tiny", "sha256:aa", "sha256:bb", version="1.2.3")
PROGRAM = "def f(x):\n\treturn BUG\n\nx = MAYBE\n"


@pytest.fixture
def result(tmp_path: Path) -> CheckResult:
    """One file with one finding, in a folder whose name needs escaping, and one that cannot be read."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "a.py").write_text(PROGRAM)
    (folder / "bad.py").write_bytes(b"\0")
    return check(folder / "a.py", folder / "bad.py", options=CheckOptions(threshold=0.5))


@pytest.fixture
def passed_over(tmp_path: Path) -> CheckResult:
    """One file that is too long, in a folder with one that is read."""
    (tmp_path / "a.py").write_text(PROGRAM)
    (tmp_path / "long.py").write_text("x = 1\n" * 20)
    return check(tmp_path, options=CheckOptions(longest=100))


WHY = "it has 120 characters, over 100 (--max-characters)"


def test_people_are_told_which_files_were_passed_over_and_why(passed_over: CheckResult, tmp_path: Path) -> None:
    assert f"{tmp_path}/long.py was passed over: {WHY}" in text_report(passed_over, TextStyle()).splitlines()
    assert (
        html_report(passed_over.reports, TOOL, ReferenceTable(()), passed_over=passed_over.passed_over).count(WHY) == 1
    )
    assert github_report(passed_over, tmp_path).splitlines()[-1].endswith(f"; passed over: long.py ({WHY})")


def test_programs_are_told_the_same(passed_over: CheckResult, tmp_path: Path) -> None:
    assert json.loads(json_report(passed_over, TOOL))["passed_over"] == [{"path": f"{tmp_path}/long.py", "reason": WHY}]
    (invocation,) = json.loads(sarif_report(passed_over, TOOL, tmp_path))["runs"][0]["invocations"]
    (notification,) = invocation["toolExecutionNotifications"]
    assert (invocation["executionSuccessful"], notification["level"]) == (True, "note")
    assert notification["message"]["text"] == f"passed over: {WHY}"


def test_a_file_s_name_cannot_be_a_command_where_it_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a\n::error::b.py").write_text("x = 1\n" * 20)
    report = github_report(check(tmp_path, options=CheckOptions(longest=100)), tmp_path)
    assert len(report.splitlines()) == 1


# --- text


def test_each_line_has_its_percentage_and_a_bar_of_four_steps(result: CheckResult) -> None:
    rows = text_report(result, TextStyle()).splitlines()
    assert any(re.fullmatch(r" +2% +1 │ def f\(x\):", row) for row in rows)
    assert any(re.fullmatch(r" +64% ███ 2 │     return BUG", row) for row in rows)
    assert any(re.fullmatch(r" +20% █   4 │ x = MAYBE", row) for row in rows)


def test_blank_lines_and_comments_have_no_percentage(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n\n# BUG\n")
    rows = text_report(check(tmp_path / "a.py"), TextStyle()).splitlines()
    assert any(re.fullmatch(r" +2 │ ?", row) for row in rows) and any(re.fullmatch(r" +3 │ # BUG", row) for row in rows)


def test_the_lines_most_worth_reading_are_named_with_reason_and_meaning(result: CheckResult) -> None:
    text = text_report(result, TextStyle())
    assert "line 2, 64%: return BUG" in text
    assert "most of it from `return` `BUG`; of lines scored 50-90%, 58% were edited, n = 612" in text


def test_the_summary_counts_files_and_lines(result: CheckResult) -> None:
    assert text_report(result, TextStyle()).splitlines()[-1] == "1 file, 1 line above 50%"


def test_plain_text_has_no_escape_sequences_and_ascii_text_nothing_beyond_ascii(result: CheckResult) -> None:
    assert "\x1b" not in text_report(result, TextStyle())
    assert text_report(result, TextStyle(ascii_only=True)).isascii()


def test_colour_adds_nothing_that_the_plain_text_does_not_say(
    result: CheckResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    colored = text_report(result, TextStyle(color=True))
    assert "\x1b[" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == text_report(result, TextStyle())


def test_code_cannot_send_commands_to_the_terminal_or_hide_itself(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = '\x1b[2J\u202e' # BUG\n")
    text = text_report(check(tmp_path / "a.py"), TextStyle())
    assert "x = '<1B>[2J<202E>' # BUG" in text


def test_markup_in_code_is_shown_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = '[bold]BUG[/bold]'\n")
    assert "x = '[bold]BUG[/bold]'" in text_report(check(tmp_path / "a.py"), TextStyle())


def test_a_long_file_is_cut_down_to_what_stands_out(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("fine\n" * 100 + "BUG\n" + "fine\n" * 100)
    rows = text_report(check(tmp_path / "a.py"), TextStyle()).splitlines()
    code = [row for row in rows if "│" in row or "⋮" in row]
    around = ["fine", "fine"]
    assert [row.split()[-1] for row in code] == [*around, "⋮", *around, "BUG", *around, "⋮", *around]


def test_the_picture_shows_the_same_and_loads_nothing(result: CheckResult) -> None:
    svg = svg_report(result, "risk-lsp check")
    assert svg.startswith("<svg") and "BUG" in svg
    assert "url(http" not in svg and "@font-face" not in svg


# --- JSON


def test_the_json_report_says_what_made_it_and_holds_every_line(result: CheckResult) -> None:
    report = json.loads(json_report(result, TOOL))
    assert (report["format"], report["format_version"]) == ("risk-lsp-check", 1)
    assert report["tool"] == {"name": "risk-lsp", "version": "1.2.3"}
    assert report["bundle"] == {"name": "tiny", "probe_hash": "sha256:aa", "weights_hash": "sha256:bb"}
    (file,) = report["files"]
    assert [line is None for line in file["lines"]] == [False, False, True, False, True]
    assert file["lines"][1] == file["worth_reading"][0]["probability"] == file["findings"][0]["probability"]


def test_places_in_the_json_report_can_be_cut_out_of_the_text(result: CheckResult) -> None:
    line = json.loads(json_report(result, TOOL))["files"][0]["worth_reading"][0]
    assert PROGRAM[line["start"] : line["end"]] == line["text"] == "return BUG"
    assert [PROGRAM[token["start"] : token["end"]] for token in line["tokens"]] == ["return", "BUG"]


def test_functions_have_their_first_and_last_line(result: CheckResult) -> None:
    (function,) = json.loads(json_report(result, TOOL))["files"][0]["functions"]
    assert (function["name"], function["first_line"], function["last_line"]) == ("f", 1, 2)


def test_what_could_not_be_checked_is_in_the_json_report_with_the_way_out(result: CheckResult) -> None:
    (error,) = json.loads(json_report(result, TOOL))["errors"]
    assert error["path"].endswith("bad.py") and "binary" in error["message"] and error["hint"]


# --- SARIF


def sarif(result: CheckResult, root: Path) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(sarif_report(result, TOOL, root))
    return log


def test_a_sarif_log_holds_the_likeliest_results_that_github_includes_and_says_how_many_there_are(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.py").write_text("x = MAYBE\n" + "y = BUG\n" * MOST_RESULTS)
    log = sarif(check(tmp_path / "a.py", options=CheckOptions(threshold=0.1)), tmp_path)
    (run,) = log["runs"]
    assert len(run["results"]) == MOST_RESULTS and "MAYBE" not in json.dumps(run["results"][0])
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    assert notification["message"]["text"].startswith("5,001 lines are above the threshold")


def test_the_sarif_log_is_valid_under_the_official_schema(result: CheckResult, tmp_path: Path) -> None:
    schema = json.loads((FIXTURES / "sarif-2.1.0.json").read_text("utf-8"))
    validator = Draft4Validator(schema, format_checker=Draft4Validator.FORMAT_CHECKER)
    assert list(validator.iter_errors(sarif(result, tmp_path))) == []


def test_an_empty_sarif_log_is_valid_too(tmp_path: Path) -> None:
    schema = json.loads((FIXTURES / "sarif-2.1.0.json").read_text("utf-8"))
    assert list(Draft4Validator(schema).iter_errors(sarif(CheckResult((), (), 0.3), tmp_path))) == []


def test_each_finding_is_a_result_with_its_place_relative_to_the_root(result: CheckResult, tmp_path: Path) -> None:
    (found,) = sarif(result, tmp_path)["runs"][0]["results"]
    place = found["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "a%20folder/a.py", "uriBaseId": "SRCROOT"}
    region = place["region"]
    assert (region["startLine"], region["startColumn"], region["endLine"], region["endColumn"]) == (2, 2, 2, 12)
    assert found["message"]["text"].startswith("64% likely to need an edit")


def test_a_file_outside_of_the_root_has_its_full_address(result: CheckResult, tmp_path: Path) -> None:
    (found,) = sarif(result, tmp_path / "elsewhere")["runs"][0]["results"]
    assert found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].startswith("file:///")


def test_a_finding_keeps_its_fingerprint_when_lines_are_added_above_it(tmp_path: Path) -> None:
    fingerprints = []
    for text in ("BUG\nBUG\n", "x\ny\nBUG\nBUG\n"):
        (tmp_path / "a.py").write_text(text)
        results = sarif(check(tmp_path / "a.py"), tmp_path)["runs"][0]["results"]
        fingerprints.append([each["partialFingerprints"]["lineContent/v1"] for each in results])
    assert fingerprints[0] == fingerprints[1] and len(set(fingerprints[0])) == 2


def test_what_could_not_be_checked_is_a_notification_of_an_unsuccessful_run(
    result: CheckResult, tmp_path: Path
) -> None:
    invocation = sarif(result, tmp_path)["runs"][0]["invocations"][0]
    assert invocation["executionSuccessful"] is False
    assert "binary" in invocation["toolExecutionNotifications"][0]["message"]["text"]
