"""Labels from programs with a bug and what they were repaired to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.lab.patches.build import kept_records
from risk_lsp.lab.patches.build_inputs import Inputs
from risk_lsp.lab.patches.known_fixes import records_of_repair
from risk_lsp.lab.patches.labels import read_labels, write_labels
from risk_lsp.lab.patches.programs import Repair, problems_by_id, read_repairs
from risk_lsp.sandbox.sandbox import Sandbox
from risk_lsp.sandbox.verdicts import Problem

BROKEN = "def f(a, b):\n    total = a - b\n    return total\n"
FIXED = "def f(a, b):\n    total = a + b\n    print(total)\n    return total\n"
TESTS = "assert f(2, 3) == 5\n"


def read_one(path: Path, problems: Mapping[str, Problem] | None = None, **fields: Any) -> Repair:
    record = {"task_id": "T/1", "group": "T/1", "model": "human", "prompt_lines": 0, "program": BROKEN}
    path = path / "repairs_history.jsonl"
    path.write_text(json.dumps({**record, "repaired": FIXED, **fields}) + "\n")
    (found,) = read_repairs(path, problems or {})
    return found


def labels_of(repair: Repair, sandbox: Sandbox) -> list[tuple[bool, list[str]]]:
    """Of each record, whether the program passes and what is marked."""
    records = list(records_of_repair(repair, sandbox))
    return [(record["passed"], [record["text"][slice(*span)] for span in record["edited"]]) for record in records]


def test_a_record_brings_its_own_tests_and_takes_its_benchmark_from_the_file(tmp_path: Path) -> None:
    problem, broken, fixed = read_one(tmp_path, tests=TESTS)

    assert (problem.tests, problem.test_kind) == (TESTS, "append")
    assert (broken.benchmark, broken.kind, fixed.program) == ("history", "repair", FIXED)


def test_without_tests_of_its_own_it_has_those_of_its_problem(tmp_path: Path) -> None:
    own = {"task_id": "T/1", "benchmark": "b", "group": "T/1", "prompt": "", "test_kind": "append", "tests": TESTS}
    (tmp_path / "problems.jsonl").write_text(json.dumps(own) + "\n")

    assert read_one(tmp_path, problems_by_id([tmp_path / "problems.jsonl"])).problem.tests == TESTS


def test_an_injected_bug_is_told_from_one_that_happened(tmp_path: Path) -> None:
    assert read_one(tmp_path, model="human (injected bug)").broken.kind == "injected"


def test_windows_line_ends_are_read_as_unix_ones(tmp_path: Path) -> None:
    assert read_one(tmp_path, program=BROKEN.replace("\n", "\r\n")).broken.program == BROKEN


def test_a_record_without_a_program_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "repairs_history.jsonl"
    path.write_text('{"task_id": "T/1", "group": "T/1", "model": "human", "prompt_lines": 0, "repaired": "x"}\n')

    with pytest.raises(BadInput, match=r"repairs_history\.jsonl:1: field 'program' is missing"):
        list(read_repairs(path, {}))


def test_tests_tell_what_of_a_fix_is_needed(tmp_path: Path, shared_sandbox: Sandbox) -> None:
    assert labels_of(read_one(tmp_path, tests=TESTS), shared_sandbox) == [(False, ["-"]), (True, [])]


def test_without_tests_all_of_a_published_fix_counts(tmp_path: Path, shared_sandbox: Sandbox) -> None:
    broken, fixed = records_of_repair(read_one(tmp_path, passed=False, repaired_passed=True), shared_sandbox)

    assert broken["patch"]["fixed"] == FIXED
    assert (fixed["text"], fixed["passed"]) == (FIXED, True)


def test_tests_that_see_no_difference_leave_it_to_what_was_published(tmp_path: Path, shared_sandbox: Sandbox) -> None:
    repair = read_one(tmp_path, tests="assert f(0, 0) == 0\n", passed=False, repaired_passed=True)

    assert len(labels_of(repair, shared_sandbox)) == 2


def test_a_repair_that_nothing_vouches_for_has_no_label(tmp_path: Path, shared_sandbox: Sandbox) -> None:
    assert labels_of(read_one(tmp_path), shared_sandbox) == []


def test_from_labels_alone_the_same_records_are_made_again(tmp_path: Path, shared_sandbox: Sandbox) -> None:
    repair = read_one(tmp_path, tests=TESTS)
    records = list(records_of_repair(repair, shared_sandbox))
    write_labels(tmp_path / "labels", records)

    assert list(kept_records(Inputs({}, {}, (repair,), ()), read_labels([tmp_path / "labels"]))) == records


def test_a_rewrite_without_tests_has_no_label(tmp_path: Path, shared_sandbox: Sandbox) -> None:
    program = "".join(f"a{number} = {number}\n" for number in range(12))
    repaired = "".join(f"b{number} = {number} * 2\n" for number in range(12))
    repair = read_one(tmp_path, program=program, repaired=repaired, passed=False, repaired_passed=True)

    assert labels_of(repair, shared_sandbox) == []
