"""Verdicts: does a program pass its problem's tests?

A screen tries a whole batch of variants in one run of the sandbox. Variants of a batch can disturb each other: their
verdicts are good enough for a search, and `judge` runs alone what a search finds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
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


_BATCH = 32
_TOGETHER = 64
_CHEAPER = 4  # so many runs in a shared process cost what one in its own does
_STOPPED = 40  # what a variant costs that does not end by itself, in runs of others
_WALL_FACTOR = 4.0
_SLACK_SECONDS = 5.0
# Room for a variant, for the processes that it may start, and for the process that forks them.
SCREEN_LIMITS = Limits(wall_seconds=_SLACK_SECONDS, cpu_seconds=60, memory=1536 << 20)

# The variants' own output goes nowhere. A variant passes if its last statement was reached; timers' signals end the
# process that runs it. What started processes of its own loses them with the group.
_BATCH_SCRIPT = """\
import json, os, signal, sys, types
_out = os.dup(1)
_null = os.open(os.devnull, os.O_RDWR)
for _fd in (0, 1, 2):
    os.dup2(_null, _fd)
_job = json.loads({job!r})


def _run(sources, report):
    os.setpgid(0, 0)
    os.close(_out)
    for source in sources:
        signal.setitimer(signal.ITIMER_PROF, _job["cpu"])
        signal.setitimer(signal.ITIMER_REAL, _job["wall"])
        module = sys.modules["__main__"] = types.ModuleType("__main__")
        sys.argv = ["program.py"]
        mark = b"-"
        try:
            exec(compile(source, "program.py", "exec", dont_inherit=True), module.__dict__)
            mark = b"+"
        except BaseException:
            pass
        os.write(report, mark)


def _tried(sources):
    given, report = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(given)
            _run(sources, report)
        finally:
            os._exit(0)
    os.close(report)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    try:
        os.killpg(child, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    os.waitpid(child, 0)
    os.set_blocking(given, False)
    try:
        said = os.read(given, len(sources))
    except BlockingIOError:
        said = b""
    os.close(given)
    return said if len(said) == len(sources) else said + b"!"


_left = _job["scripts"]
while _left:
    _said = _tried(_left[: _job["together"]])
    os.write(_out, _said)
    _left = _left[len(_said) :]
"""


def screen_for(sandbox: Sandbox, problem: Problem, *, cpu_seconds: float = 1.0) -> Screen:
    """A screen that judges by a problem's tests."""
    return Screen(sandbox, partial(script_with_tests, problem), cpu_seconds=cpu_seconds)


class Screen:
    """Verdicts on programs by one set of tests; remembers every one.

    script_for: the script that runs to its end only if a program passes. runs: how many programs were run. effort: the
    same, but one that had to be stopped counts many times. cpu_seconds: what a variant gets; the wall clock is some
    times as long. limits: of a batch, but for its wall clock.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        script_for: Callable[[str], str],
        *,
        cpu_seconds: float = 1.0,
        limits: Limits = SCREEN_LIMITS,
    ) -> None:
        self._sandbox = sandbox
        self._limits = limits
        self._script_for = script_for
        self._cpu_seconds = cpu_seconds
        self._known: dict[str, bool] = {}
        self.runs = 0
        self.effort = 0

    def passes(self, programs: Sequence[str]) -> list[bool]:
        """For each program, whether it passes the problem's tests within the time; each in a process of its own."""
        unknown = list(dict.fromkeys(program for program in programs if program not in self._known))
        for start in range(0, len(unknown), _BATCH):
            batch = unknown[start : start + _BATCH]
            self._known.update(zip(batch, self._verdicts(batch, together=1), strict=True))
        return [self._known[program] for program in programs]

    def promising(self, programs: Sequence[str]) -> list[str]:
        """Those that pass when many run in one process: quicker, but one variant may spoil another's run."""
        unknown = [program for program in dict.fromkeys(programs) if not self._known.get(program)]
        verdicts = self._verdicts(unknown, together=_TOGETHER)
        return [program for program, does in zip(unknown, verdicts, strict=True) if does]

    def forget(self) -> None:
        """Drop the remembered verdicts: the next program's variants are others."""
        self._known.clear()

    def _verdicts(self, programs: list[str], together: int) -> list[bool]:
        verdicts: list[bool] = []
        while len(verdicts) < len(programs):
            said = self._run(programs[len(verdicts) :], together)
            if len(verdicts) + len(said) < len(programs):
                said += "!"  # the one that took the whole batch down with it
            verdicts += [mark == "+" for mark in said]
            self.effort += len(said) // (1 if together == 1 else _CHEAPER) + _STOPPED * said.count("!")
        self.runs += len(programs)
        return verdicts

    def _run(self, programs: Sequence[str], together: int) -> str:
        """One character per variant that was tried; fewer than there are variants if one stopped the batch."""
        wall = _WALL_FACTOR * self._cpu_seconds
        scripts = [self._script_for(program) for program in programs]
        job = {"scripts": scripts, "cpu": self._cpu_seconds, "wall": wall, "together": together}
        self._sandbox.limits = replace(self._limits, wall_seconds=wall * len(programs) + _SLACK_SECONDS)
        outcome = self._sandbox.run(_BATCH_SCRIPT.format(job=json.dumps(job)))
        return outcome.stdout[: len(programs)]
