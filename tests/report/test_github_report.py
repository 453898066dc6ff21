"""Annotations for GitHub: one line each, whatever is in them."""

from __future__ import annotations

import re
from pathlib import Path

from risk_lsp.report.check import CheckOptions, CheckResult
from risk_lsp.report.tool_reports import github_report
from tests.risk.scorers import check


def found(folder: Path, text: str, name: str = "a.py") -> CheckResult:
    (folder / name).write_text(text)
    return check(folder / name, options=CheckOptions(threshold=0.5))


def test_a_finding_is_a_notice_with_its_place_and_its_reason(tmp_path: Path) -> None:
    notice, _ = github_report(found(tmp_path, "x = 1\nBUG\n"), tmp_path).splitlines()
    assert notice == (
        "::notice file=a.py,line=2,title=63%25 likely to need an edit::"
        "most of it from `BUG`; of lines scored 50-90%25, 58%25 were edited, n = 612"
    )


def test_a_place_with_special_characters_is_escaped(tmp_path: Path) -> None:
    notice, *_ = github_report(found(tmp_path, "BUG\n", "100%,a:b\n::error::x.py"), tmp_path).splitlines()
    assert "file=100%25%2Ca%3Ab%0A%3A%3Aerror%3A%3Ax.py,line=1," in notice


def test_no_line_of_code_can_be_a_command_of_its_own(tmp_path: Path) -> None:
    report = github_report(found(tmp_path, "BUG\x0b::error::\u2028::error::x%0A::stop-commands::y\n"), tmp_path)
    assert re.findall(r"(?m)^::(\w[\w-]*)", report) == ["notice"]
    assert "%0A::stop" not in report


def test_only_the_likeliest_ten_are_annotated_and_all_are_counted(tmp_path: Path) -> None:
    text = "".join(f"BUG{line}\n" for line in range(11)) + "BUG BUG\n"
    *notices, summary = github_report(found(tmp_path, text), tmp_path).splitlines()
    assert [re.findall(r"line=(\d+)", notice)[0] for notice in notices] == ["12", *map(str, range(1, 10))]
    assert summary == "12 lines above 50%; the 10 likeliest are annotated"


def test_the_likeliest_of_all_files_come_first(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("BUG\n")
    (tmp_path / "b.py").write_text("BUG BUG\n")
    report = github_report(check(tmp_path, options=CheckOptions(threshold=0.5)), tmp_path)
    assert re.findall(r"file=(\w\.py)", report) == ["b.py", "a.py"]


def test_a_file_outside_of_the_workspace_has_its_full_name(tmp_path: Path) -> None:
    notice, _ = github_report(found(tmp_path, "BUG\n"), tmp_path / "elsewhere").splitlines()
    assert f"file={tmp_path.resolve()}/a.py," in notice


def test_a_file_outside_of_the_calibrated_range_says_so(tmp_path: Path) -> None:
    assert "Outside the calibrated range" in github_report(found(tmp_path, "BUG\n", "a.js"), tmp_path)


def test_nothing_found_is_said_in_a_line(tmp_path: Path) -> None:
    assert github_report(found(tmp_path, "x = 1\n"), tmp_path) == "0 lines above 50%\n"
