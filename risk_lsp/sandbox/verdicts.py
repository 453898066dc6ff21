"""Verdicts: does a program pass its problem's tests?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from risk_lsp.errors import BadInput
from risk_lsp.sandbox.isolation import Limits, Outcome
from risk_lsp.sandbox.sandbox import Sandbox

# What a program gets for all of its problem's tests together.
TEST_LIMITS = Limits(wall_seconds=8.0, cpu_seconds=2, memory=1536 << 20)


# append: run program, newline, tests in one namespace; any exception is a failure.
# stdio: the tests define check_stdio(run), where run(stdin) gives the stdout of the whole program.
TestKind = Literal["append", "stdio", "none"]


@dataclass(frozen=True)
class Problem:
    """A task with its tests. `group` names the underlying problem: data are split by it.

    text: what was asked, in words, where the prompt is not that. prelude: lines that stand in front of every program,
    such as a judge's imports, and that nobody would have in a file of their own. starter: how a program has to begin,
    where the prompt is words. asserts: how many checks the tests make, where that is known. trusted: whether a correct
    program passes; not so where several answers are right, or where the tests ask for what nobody could know.
    """

    task_id: str
    benchmark: str
    group: str
    prompt: str
    entry_point: str | None
    test_kind: TestKind
    tests: str
    reference: str | None
    license: str
    text: str = ""
    prelude: str = ""
    starter: str = ""
    asserts: int | None = None
    trusted: bool = True


class Verdict(NamedTuple):
    """Whether all tests passed, and what the run told.

    error: "" for a pass; else the class of the exception that ended the run, or the outcome's status, or "exit" for a
    program that left before its tests were through.
    """

    passed: bool
    error: str
    outcome: Outcome


def judge(sandbox: Sandbox, problem: Problem, program: str) -> Verdict:
    """Run `program` against the tests of `problem`. BadInput for a problem without tests."""
    outcome = sandbox.run(script_with_tests(problem, program))
    if outcome.status != "passed":
        return Verdict(False, outcome.exception or outcome.status, outcome)
    # A program that leaves by exit() has status 0 without having met its tests.
    return Verdict(outcome.completed, "" if outcome.completed else "exit", outcome)


def script_with_tests(problem: Problem, program: str) -> str:
    """The script that fails unless `program` passes. BadInput for a problem without tests."""
    if problem.test_kind == "append":
        return f"{program}\n{problem.tests}"
    if problem.test_kind == "stdio":
        return _STDIO_SCRIPT.format(program=program, tests=problem.tests)
    raise BadInput(f"problem {problem.task_id} has no tests", "leave it out, or give it tests")


# Each case runs the whole program in a process of its own, forked from the tests' process: that spares the start of an
# interpreter. Streams go through files, so that neither side can block the other.
_STDIO_SCRIPT = """\
import os as _os, sys as _sys, tempfile as _tempfile

_PROGRAM = {program!r}


def _run(stdin):
    with _tempfile.TemporaryFile() as given, _tempfile.TemporaryFile() as written:
        given.write(stdin.encode())
        given.seek(0)
        child = _os.fork()
        if child == 0:
            status = 1
            try:
                _os.dup2(given.fileno(), 0)
                _os.dup2(written.fileno(), 1)
                _sys.stdin, _sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)
                try:
                    exec(compile(_PROGRAM, "solution.py", "exec", dont_inherit=True), {{"__name__": "__main__"}})
                    status = 0
                except SystemExit as leaving:
                    status = 0 if leaving.code in (None, 0) else 1
                _sys.stdout.flush()
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                _os._exit(status)
        _, status = _os.waitpid(child, 0)
        if status != 0:
            raise RuntimeError(f"the program ended with wait status {{status}}")
        written.seek(0)
        return written.read().decode(errors="replace")


{tests}
check_stdio(_run)
"""
