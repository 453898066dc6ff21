"""Verdicts on programs, from runs in the real sandbox."""

from __future__ import annotations

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.sandbox.sandbox import Sandbox
from risk_lsp.sandbox.verdicts import Problem, TestKind, judge

DOUBLE_ASSERTS = "assert double(2) == 4\nassert double(0) == 0\n"
DOUBLE_STDIO = """\
CASES = [("2\\n", "4"), ("0\\n", "0")]
def check_stdio(run):
    for stdin, expected in CASES:
        assert run(stdin).split() == expected.split()
"""


def problem(tests: str, kind: TestKind = "append") -> Problem:
    return Problem("Own/1", "own", "Own/1", "", None, kind, tests, None, "")


class TestAppendedTests:
    @pytest.mark.parametrize(
        ("program", "error"),
        [
            ("def double(x): return 2 * x", ""),
            ("def double(x): return x + 1", "AssertionError"),
            ("def double(x): return x +", "SyntaxError"),
            ("def double(x): return y", "NameError"),
            ("def triple(x): return 3 * x", "NameError"),
            ("def double(x): return [] * 10**12 + [0] * 10**12", "MemoryError"),
            ("import os\ndef double(x): os.abort()", "killed"),
        ],
    )
    def test_a_program_passes_if_no_test_raises(self, sandbox: Sandbox, program: str, error: str) -> None:
        verdict = judge(sandbox, problem(DOUBLE_ASSERTS), program)

        assert (verdict.passed, verdict.error) == (not error, error)

    @pytest.mark.parametrize("leave", ["exit()", "raise SystemExit", "import os; os._exit(0)"])
    def test_leaving_before_the_tests_is_no_pass(self, sandbox: Sandbox, leave: str) -> None:
        verdict = judge(sandbox, problem(DOUBLE_ASSERTS), f"def double(x): return x\n{leave}")

        assert (verdict.passed, verdict.error) == (False, "exit")

    def test_the_last_line_needs_no_newline(self, sandbox: Sandbox) -> None:
        assert judge(sandbox, problem(DOUBLE_ASSERTS), "double = lambda x: 2 * x  # so").passed


class TestStdioTests:
    @pytest.mark.parametrize(
        ("program", "error"),
        [
            ("print(2 * int(input()))", ""),
            ("import sys\nprint(2 * int(sys.stdin.read()))\nsys.exit()", ""),
            ("def main():\n    print(int(input()) * 2)\nif __name__ == '__main__':\n    main()", ""),
            ("print(int(input()))", "AssertionError"),
            ("print(2 * int(input()))\nraise ValueError", "RuntimeError"),
            ("print(2 * int(input()) +)", "RuntimeError"),
            ("import os; os.abort()", "RuntimeError"),
        ],
    )
    def test_a_program_passes_if_every_case_gets_its_output(self, sandbox: Sandbox, program: str, error: str) -> None:
        verdict = judge(sandbox, problem(DOUBLE_STDIO, "stdio"), program)

        assert (verdict.passed, verdict.error) == (not error, error)

    def test_cases_share_no_state(self, sandbox: Sandbox) -> None:
        program = "import math\nassert not hasattr(math, 'seen')\nmath.seen = True\nprint(2 * int(input()))"

        assert judge(sandbox, problem(DOUBLE_STDIO, "stdio"), program).passed

    def test_the_program_cannot_see_the_tests(self, sandbox: Sandbox) -> None:
        assert judge(sandbox, problem(DOUBLE_STDIO, "stdio"), "print(CASES)").error == "RuntimeError"

    def test_what_went_wrong_can_be_read(self, sandbox: Sandbox) -> None:
        verdict = judge(sandbox, problem(DOUBLE_STDIO, "stdio"), "1 / 0")

        assert "ZeroDivisionError" in verdict.outcome.stderr


def test_a_problem_without_tests_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(BadInput, match="problem Own/1 has no tests"):
        judge(sandbox, problem("", "none"), "pass")
