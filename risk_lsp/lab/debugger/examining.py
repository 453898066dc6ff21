"""Programs run against their problem's tests, in the sandbox: the verdict, its words, and the share of tests passed."""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple

from risk_lsp.repair.execution import ProblemTests, failed_verdict
from risk_lsp.repair.watching import MARK, NO_EVIDENCE, read_evidence
from risk_lsp.sandbox.sandbox import Sandbox
from risk_lsp.sandbox.verdicts import TEST_LIMITS, Problem, judge, script_with_tests

_MOST_SHARE = 0.99  # of a program that fails, whatever it prints

# Stands for the call of check_stdio, so that one case's failure does not hide the others'.
_CALL = "check_stdio(_run)\n"
_CASE_BY_CASE = """\
import json
_failed, _held, _every = [], 0, CASES
for _case in _every:
    CASES = [_case]
    try:
        check_stdio(_run)
        _held += 1
    except BaseException:
        _failed.append([])
print({mark!r} + json.dumps([_failed, [], [], _held]))
"""


class Examined(NamedTuple):
    """passed: all tests. reason: "" then, else one word. failure: for a model. share: of the tests that held."""

    passed: bool
    reason: str
    failure: str
    share: float


PASSED = Examined(True, "", "", 1.0)


class Examiner:
    """Examines programs one after the other and remembers them. A context manager."""

    def __init__(self) -> None:
        self._sandbox = Sandbox(TEST_LIMITS)
        self._known: dict[tuple[str, str, str], Examined] = {}

    def __enter__(self) -> Examiner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sandbox.close()

    def examine(self, problem: Problem, program: str) -> Examined:
        """Run a program. BadInput for a problem without tests, SandboxError where nothing can be run."""
        key = problem.task_id, problem.tests, program
        if key in self._known:
            return self._known[key]
        verdict, found = judge(self._sandbox, problem, program), PASSED
        if not verdict.passed:
            # The plain run alone decides; the second one counts, and finds words.
            watched = ProblemTests(problem).watched(program) or script_with_tests(problem, program).replace(
                _CALL, _CASE_BY_CASE.format(mark=MARK)
            )
            evidence = NO_EVIDENCE if verdict.error == "timeout" else read_evidence(self._sandbox.run(watched).stdout)
            told = failed_verdict(verdict.outcome, evidence)
            tests = evidence.failed + evidence.held
            share = min(_MOST_SHARE, evidence.held / tests) if tests else 0.0
            found = Examined(False, told.reason, told.failure, share)
        self._known[key] = found
        return found
