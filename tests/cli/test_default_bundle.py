"""The bundle that comes with the program: it works at once, offline, and points at real mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from risk_lsp.probe.manifest import ReferenceTable
from risk_lsp.report.check import CheckOptions, CheckResult, check_paths, collect_result
from risk_lsp.risk.engine import Engine
from tests.conftest import FIXTURES

SMALL_BUGS = FIXTURES / "small_bugs"
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.load(device="cpu")


def check(engine: Engine, folder: Path) -> CheckResult:
    options = CheckOptions(top=3)
    reference = ReferenceTable.from_manifest(engine.manifest.reference)
    return collect_result(check_paths(engine, [folder], options, reference), options)


def test_the_wrong_line_is_among_the_three_most_worth_reading_in_at_least_half_of_the_small_bugs(
    engine: Engine,
) -> None:
    wrong = {bug["file"]: bug["line"] for bug in json.loads((SMALL_BUGS / "bugs.json").read_text())}
    found = [
        report.path.name
        for report in check(engine, SMALL_BUGS).reports
        if wrong[report.path.name] in [line.line + 1 for line in report.worth_reading]
    ]
    assert len(wrong) == 10 and len(found) >= 5, f"found only {found}"


def test_every_known_bug_is_where_its_record_says() -> None:
    for bug in json.loads((SMALL_BUGS / "bugs.json").read_text()):
        assert (SMALL_BUGS / bug["file"]).read_text().splitlines()[bug["line"] - 1].strip() == bug["wrong"]


def test_the_examples_are_checked_without_complaint(engine: Engine) -> None:
    result = check(engine, EXAMPLES)
    assert len(result.reports) == 4 and result.failures == ()


def test_a_file_of_two_hundred_lines_is_checked_within_six_seconds_from_a_cold_start(tmp_path: Path) -> None:
    program = "\n\n".join(path.read_text() for path in sorted(EXAMPLES.glob("*.py")))
    file = tmp_path / "a.py"
    file.write_text("".join((program * 2).splitlines(keepends=True)[:200]))

    # Under a second on two quiet cores (make bench).
    assert min(_seconds_of_a_cold_check(file) for _ in range(2)) < 6


def _seconds_of_a_cold_check(file: Path) -> float:
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "risk_lsp", "check", "--no-cache", str(file)], check=True, capture_output=True
    )
    return time.monotonic() - started
