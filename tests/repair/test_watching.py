"""What a watched run tells of a failing program."""

from __future__ import annotations

import pytest

from risk_lsp.repair.execution import Execution, ProblemTests
from risk_lsp.repair.harness import MARK, NO_EVIDENCE, Evidence, read_evidence, trim_output
from risk_lsp.sandbox.verdicts import Problem


async def evidence_of(program: str, tests: str) -> Evidence:
    problem = Problem("t/1", "t", "t/1", "", "f", "append", tests, None, "MIT")
    async with Execution(ProblemTests(problem)) as execution:
        return (await execution.examine(program)).evidence


@pytest.mark.usefixtures("sandboxed")
class TestRuns:
    async def test_lines_of_failing_assertions_are_suspicious(self) -> None:
        program = "def f(x):\n    if x > 0:\n        return 1\n    return 2\n"
        evidence = await evidence_of(program, "assert f(1) == 1\nassert f(-1) == 3\n")

        assert evidence.suspicion == pytest.approx({1: 1 / 2**0.5, 3: 1.0})

    async def test_the_line_of_an_exception_is_told(self) -> None:
        evidence = await evidence_of("def f(x):\n    y = x\n    return y[0]\n", "assert f(1) == 1\n")

        assert evidence.error_lines == (2,)
        assert evidence.failures == (("TypeError", "f(1): 'int' object is not subscriptable (from line 3)"),)

    async def test_assertions_inside_of_functions_are_told_apart(self) -> None:
        tests = "def check(g):\n    for x in (1, 2):\n        assert g(x) == x\n\n\ncheck(f)\n"
        evidence = await evidence_of("def f(x):\n    return 0\n", tests)

        assert [said for _, said in evidence.failures] == ["g(x): got 0, expected 1", "g(x): got 0, expected 2"]

    async def test_a_program_that_does_not_parse_says_where(self) -> None:
        evidence = await evidence_of("def f(x):\n    return (x\n", "assert f(1) == 1\n")

        assert evidence.failures[0][0] == "SyntaxError"
        assert evidence.error_lines == (1,)

    async def test_values_that_cannot_be_shown_do_no_harm(self) -> None:
        program = "class A:\n    def __repr__(self):\n        raise ValueError\n\n\ndef f(x):\n    return A()\n"
        evidence = await evidence_of(program, "assert f(1) == 1\n")

        assert "a value that cannot be shown" in evidence.failures[0][1]


@pytest.mark.parametrize("output", ["", "words", f"{MARK}nonsense", f"{MARK}[1, 2]", f"{MARK}[[], [], [[1]]]"])
def test_an_output_without_a_report_is_no_evidence(output: str) -> None:
    assert read_evidence(output) is NO_EVIDENCE


def test_a_failure_names_the_lines_it_came_through() -> None:
    report = '[[], [], [["KeyError", "f(1): 3", [2, 7, 12, 5]], ["SyntaxError", "odd (a.py, line 4)", [4]]]]'

    failures = read_evidence(f"{MARK}{report}").failures

    assert [said for _, said in failures] == ["f(1): 3 (from line 7 -> 12 -> 5)", "odd (a.py, line 4)"]


def test_what_is_printed_around_a_report_does_no_harm() -> None:
    assert read_evidence(f"before\n{MARK}[[[2]], [], []]\nbehind\n").suspicion == {1: 1.0}


def test_output_is_cut_to_its_end_without_rules_and_paths() -> None:
    assert trim_output("=====\nE  /tmp/tmpab12/pkg/a.py:3\n\n-----\nlast\n") == "E  pkg/a.py:3\nlast"
    assert trim_output("x\n" * 5000).startswith("...")
    assert len(trim_output("x\n" * 5000)) < 2100
