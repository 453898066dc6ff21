"""Bugs put into reference solutions, with the problem's tests as the judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from risk_lsp.lab.patches.build import kept_records
from risk_lsp.lab.patches.build_inputs import Inputs
from risk_lsp.lab.patches.known_fixes import ReferenceTask, records_with_bugs
from risk_lsp.lab.patches.labels import read_labels, write_labels
from risk_lsp.sandbox.sandbox import Sandbox
from risk_lsp.sandbox.verdicts import Problem

PROMPT = 'def largest(values):\n    """The largest of the values, or None."""\n'
REFERENCE = (
    PROMPT + "    if not values:\n        return None\n    best = values[0]\n    for value in values[1:]:\n"
    "        if value > best:\n            best = value\n    return best\n"
)


def problem(tests: str = "assert largest([1, 3, 2]) == 3\nassert largest([]) is None\n") -> Problem:
    return Problem("Own/1", "own", "Own/1", PROMPT, "largest", "append", tests, REFERENCE, "MIT")


@pytest.fixture
def records(shared_sandbox: Sandbox) -> list[dict[str, Any]]:
    return list(records_with_bugs(ReferenceTask(problem(), bugs=2), shared_sandbox))


def test_the_reference_counts_as_a_program_that_passes(records: list[dict[str, Any]]) -> None:
    assert [(record["kind"], record["passed"]) for record in records] == [
        ("reference", True),
        ("injected", False),
        ("injected", False),
    ]
    assert records[0]["text"] == REFERENCE


def test_bugs_are_behind_the_prompt_each_on_a_line_of_its_own(records: list[dict[str, Any]]) -> None:
    starts = [record["edited"][0][0] for record in records[1:]]
    lines = {record["text"].count("\n", 0, start) for record, start in zip(records[1:], starts, strict=True)}

    assert min(starts) >= len(PROMPT)
    assert len(lines) == 2


def test_without_the_bug_the_program_is_the_reference_again(records: list[dict[str, Any]]) -> None:
    fixed = ["".join(record["patch"]["fixed"].split()) for record in records[1:]]

    assert fixed == ["".join(REFERENCE.split())] * 2


def test_an_edit_that_no_test_sees_is_no_bug(shared_sandbox: Sandbox) -> None:
    task = ReferenceTask(problem("assert callable(largest)\n"), bugs=2)

    assert [record["kind"] for record in records_with_bugs(task, shared_sandbox)] == ["reference"]


def test_a_reference_that_fails_has_no_records(shared_sandbox: Sandbox) -> None:
    task = ReferenceTask(problem("assert largest([1]) == 2\n"), bugs=2)

    assert list(records_with_bugs(task, shared_sandbox)) == []


def test_from_labels_the_same_programs_are_made_again(records: list[dict[str, Any]], shared_sandbox: Sandbox) -> None:
    known = {record["id"]: {"injected": record["injected"]} for record in records[:1:-1]}
    again = list(records_with_bugs(ReferenceTask(problem(), bugs=2, known=known), shared_sandbox))

    assert [record["id"] for record in again] == [records[0]["id"], records[2]["id"]]


def test_from_labels_alone_the_same_records_are_made_again(records: list[dict[str, Any]], tmp_path: Path) -> None:
    write_labels(tmp_path, records)
    inputs = Inputs({"Own/1": problem()}, {}, (), ("Own/1",))
    again = {record["id"]: record for record in kept_records(inputs, read_labels([tmp_path]))}

    assert again == {record["id"]: record for record in records}
