"""Quick verdicts on many variants of a program: one run of the sandbox tries a whole batch, each in a fork of its own.

Variants of a batch share the sandbox of that run, so a verdict is good for a search, and what a search finds is judged
once more by itself (`execution.judge`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from risk_lsp.patches.execution import script_with_tests
from risk_lsp.patches.outcome import Limits
from risk_lsp.patches.problems import Problem
from risk_lsp.patches.sandbox import Sandbox

_BATCH = 32
_STOPPED = 20  # what a variant costs that does not end by itself, in runs of others
_WALL_FACTOR = 4.0
_SLACK_SECONDS = 5.0
# Room for a variant, for the processes that it may start, and for the process that forks them.
SCREEN_LIMITS = Limits(wall_seconds=_SLACK_SECONDS, cpu_seconds=60, memory=1536 << 20)

# The variants' own output goes nowhere. A variant passes if its last statement was reached and its process then ended
# well; the timers' signals end it where it stands, so that it cannot go on after it was stopped.
_BATCH_SCRIPT = """\
import json, os, signal, sys, types
_out = os.dup(1)
_null = os.open(os.devnull, os.O_RDWR)
for _fd in (0, 1, 2):
    os.dup2(_null, _fd)
_job = json.loads({job!r})
for _name in _job["imports"]:
    try:
        __import__(_name)
    except BaseException:
        pass


def _run(source, report):
    os.setpgid(0, 0)
    signal.setitimer(signal.ITIMER_PROF, _job["cpu"])
    signal.setitimer(signal.ITIMER_REAL, _job["wall"])
    os.close(_out)
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.argv = ["program.py"]
    try:
        exec(compile(source, "program.py", "exec", dont_inherit=True), module.__dict__)
        os.write(report, b"+")
    finally:
        os._exit(0)


for _source in _job["scripts"]:
    _given, _report = os.pipe()
    _child = os.fork()
    if _child == 0:
        os.close(_given)
        _run(_source, _report)
    os.close(_report)
    os.waitid(os.P_PID, _child, os.WEXITED | os.WNOWAIT)
    try:
        os.killpg(_child, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    _, _status = os.waitpid(_child, 0)
    os.set_blocking(_given, False)
    try:
        _said = os.read(_given, 1) if _status == 0 else b""
    except BlockingIOError:
        _said = b""
    os.close(_given)
    os.write(_out, b"+" if _said == b"+" else b"!" if os.WIFSIGNALED(_status) else b"-")
"""


class Screen:
    """Verdicts on programs for one problem; remembers every one.

    runs: how many programs were run. effort: the same, but one that had to be stopped counts many times.
    cpu_seconds: what a variant gets; the wall clock is some times as long. imports: modules that programs are likely to
    import, loaded once for all variants of a batch.
    """

    def __init__(
        self, sandbox: Sandbox, problem: Problem, *, cpu_seconds: float = 1.0, imports: Sequence[str] = ()
    ) -> None:
        self._sandbox = sandbox
        self._problem = problem
        self._cpu_seconds = cpu_seconds
        self._imports = list(imports)
        self._known: dict[str, bool] = {}
        self.runs = 0
        self.effort = 0

    def passes(self, programs: Sequence[str]) -> list[bool]:
        """For each program, whether it passes the problem's tests within the time."""
        unknown = list(dict.fromkeys(program for program in programs if program not in self._known))
        for start in range(0, len(unknown), _BATCH):
            batch = unknown[start : start + _BATCH]
            self._known.update(zip(batch, self._verdicts(batch), strict=True))
        return [self._known[program] for program in programs]

    def forget(self) -> None:
        """Drop the remembered verdicts: the next program's variants are others."""
        self._known.clear()

    def _verdicts(self, programs: list[str]) -> list[bool]:
        verdicts: list[bool] = []
        while len(verdicts) < len(programs):
            said = self._run(programs[len(verdicts) :])
            if len(verdicts) + len(said) < len(programs):
                said += "!"  # the one that took the whole batch down with it
            verdicts += [mark == "+" for mark in said]
            self.effort += len(said) + _STOPPED * said.count("!")
        self.runs += len(programs)
        return verdicts

    def _run(self, programs: Sequence[str]) -> str:
        """One character per variant that was tried; fewer than there are variants if one stopped the batch."""
        wall = _WALL_FACTOR * self._cpu_seconds
        scripts = [script_with_tests(self._problem, program) for program in programs]
        job = {"imports": self._imports, "scripts": scripts, "cpu": self._cpu_seconds, "wall": wall}
        self._sandbox.limits = Limits(
            wall_seconds=wall * len(programs) + _SLACK_SECONDS,
            cpu_seconds=SCREEN_LIMITS.cpu_seconds,
            memory=SCREEN_LIMITS.memory,
        )
        outcome = self._sandbox.run(_BATCH_SCRIPT.format(job=json.dumps(job)))
        return outcome.stdout[: len(programs)]
