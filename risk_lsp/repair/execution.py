"""Runs tests on programs in the sandbox: in a thread of its own, on a copy of the workspace, and stopped when asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event
from types import TracebackType
from typing import NamedTuple, Protocol, TypeVar

from risk_lsp.repair import harness
from risk_lsp.repair.harness import NO_EVIDENCE, Evidence, plugin_modules, read_evidence, trim_output, watched_tests
from risk_lsp.repair.test_plan import TestPlan, WorkspaceCopy
from risk_lsp.repair.tree import NodeVerdict
from risk_lsp.sandbox.isolation import NO_MORE, PRELOADED, Limits, Outcome, View
from risk_lsp.sandbox.sandbox import Sandbox
from risk_lsp.sandbox.verdicts import SCREEN_LIMITS, Problem, Screen, script_with_tests

Result = TypeVar("Result")

# A workspace's tests may start processes, open files and write more than a judge's; still far from a machine's all.
WORKSPACE_LIMITS = Limits(
    wall_seconds=60.0, cpu_seconds=60, memory=3 << 30, processes=64, open_files=256, file=64 << 20, disk=128 << 20
)
_PROBLEM_LIMITS = replace(SCREEN_LIMITS, wall_seconds=30.0)
_SLOWER = 3.0  # a variant may take so many times what the program took
_LEAST_SECONDS = 0.5
_MOST_SECONDS = 10.0


class Tests(Protocol):
    """What judges programs."""

    @property
    def command(self) -> str:
        """What is run, in words that a person knows."""
        ...

    def script(self, program: str) -> str:
        """The script that runs to its end only if the program passes."""
        ...

    def watching_script(self, program: str) -> str | None:
        """The script that also reports which lines ran and what failed, past the first failure; slower. None without
        one.
        """
        ...


@dataclass(frozen=True)
class ProblemTests:
    """The tests of a benchmark's problem."""

    problem: Problem

    @property
    def command(self) -> str:
        """The problem's name."""
        return f"the tests of {self.problem.task_id}"

    def script(self, program: str) -> str:
        """Program and tests in one namespace, or a judge's cases."""
        return script_with_tests(self.problem, program)

    def watching_script(self, program: str) -> str | None:
        """Each assertion by itself, where the tests are assertions."""
        return watched_tests(program, self.problem.tests) if self.problem.test_kind == "append" else None


class Examination(NamedTuple):
    """The verdict on a program, what a watched run of a failing one showed, and how many runs that took."""

    verdict: NodeVerdict
    evidence: Evidence
    runs: int


class Execution:
    """Runs programs against tests. An async context manager; leaving it kills whatever still runs."""

    def __init__(self, tests: Tests) -> None:
        self._tests = tests
        self._stopped = Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="repair")
        self._copy: WorkspaceCopy | None = None
        self._sandbox: Sandbox | None = None
        self._screen: Screen | None = None
        self._limits = _PROBLEM_LIMITS

    async def __aenter__(self) -> Execution:
        try:
            await self._in_thread(self._open)
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    async def examine(self, program: str) -> Examination:
        """Run one program by itself, and once more, watched, if it fails."""

        def examination() -> Examination:
            outcome = self._run(self._tests.script(program))
            if self._screen is None:
                self._screen = self._made_screen(outcome.seconds if outcome.status != "timeout" else 0.0)
            if _has_passed(outcome):
                return Examination(NodeVerdict(True), NO_EVIDENCE, 1)
            watched = self._tests.watching_script(program)
            if watched is None:
                return Examination(failed_verdict(outcome, NO_EVIDENCE), NO_EVIDENCE, 1)
            # Being watched takes time, so what failed is told by the plain run alone.
            evidence = read_evidence(self._run(watched).stdout)
            return Examination(failed_verdict(outcome, evidence), evidence, 2)

        return await self._in_thread(examination)

    async def passes(self, programs: Sequence[str]) -> list[bool]:
        """Quick verdicts on many programs, each in a process of its own."""

        def verdicts() -> list[bool]:
            if self._screen is None:
                self._screen = self._made_screen(0.0)
            return self._screen.passes(programs)

        return await self._in_thread(verdicts)

    async def confirms(self, program: str) -> bool:
        """Whether a program passes when it is run alone, as every program that is offered has to."""
        return await self._in_thread(lambda: _has_passed(self._run(self._tests.script(program))))

    def kill(self) -> None:
        """End what runs; nothing can be run any more."""
        self._stopped.set()
        if self._sandbox is not None:
            self._sandbox.kill()

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _leave(self) -> None:
        self.kill()
        # The thread has nothing left to wait for; the loop goes on while it clears up.
        ended = asyncio.get_running_loop().run_in_executor(None, self._clear_up)
        await asyncio.shield(ended)

    def _clear_up(self) -> None:
        self._thread.submit(self._close)
        self._thread.shutdown(wait=True)

    def _open(self) -> None:
        view = NO_MORE
        preload: tuple[str, ...] = PRELOADED
        if isinstance(self._tests, TestPlan):
            self._copy = WorkspaceCopy(self._tests.root, self._stopped).__enter__()
            view = View(self._tests.python, ((self._copy.folder, harness.WORKSPACE),))
            if self._tests.kind == "pytest":
                preload = (*preload, "pytest", *plugin_modules(self._tests.python))
            self._limits = WORKSPACE_LIMITS
        self._sandbox = Sandbox(self._limits, preload=preload, view=view)
        if self._stopped.is_set():
            self._sandbox.kill()

    def _close(self) -> None:
        if self._sandbox is not None:
            self._sandbox.close()
        if self._copy is not None:
            self._copy.close()

    def _run(self, script: str) -> Outcome:
        assert self._sandbox is not None
        self._sandbox.limits = self._limits
        return self._sandbox.run(script)

    def _made_screen(self, seconds: float) -> Screen:
        assert self._sandbox is not None
        patience = min(_MOST_SECONDS, _LEAST_SECONDS + _SLOWER * seconds)
        return Screen(self._sandbox, self._tests.script, cpu_seconds=patience, limits=self._limits)


def _has_passed(outcome: Outcome) -> bool:
    return outcome.status == "passed" and outcome.completed


def failed_verdict(outcome: Outcome, evidence: Evidence) -> NodeVerdict:
    """The verdict on a program that failed, in words for a model: what a watched run showed, else the output."""
    reason = outcome.exception or outcome.status
    if evidence.failures:
        reason = evidence.failures[0][0]
        words = "\n".join(f"{name}: {said}" if said else name for name, said in evidence.failures)
        return NodeVerdict(False, reason, trim_output(words))
    failure = trim_output(f"{outcome.stdout}\n{outcome.stderr}")
    if outcome.status == "timeout":
        failure = f"{failure}\nIt did not end within the time that it was given.".strip()
    return NodeVerdict(False, reason, failure)
