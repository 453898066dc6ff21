"""Finds the patches of one problem's failing programs: what a process of a build does."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from risk_lsp.lab.patches.known_fixes import ReferenceTask, records_of_repair, records_with_bugs
from risk_lsp.lab.patches.labels import fixed_by, labelled_record, record_of, sample_id
from risk_lsp.lab.patches.programs import Repair, Sample
from risk_lsp.lab.patches.search import PassingProgram, PatchSearch, ProgramPool, SearchSettings
from risk_lsp.sandbox.sandbox import Sandbox
from risk_lsp.sandbox.verdicts import TEST_LIMITS, Problem, Verdict, judge, screen_for

if TYPE_CHECKING:
    from risk_lsp.lab.patches.program_writers import AskedFixes, Fixer, FixOptions

# CPU seconds for a variant: the first pair whose former is enough for a program that passes gives the latter.
_PATIENCE = ((0.07, 0.25), (0.25, 0.8))
_LONGEST = 2.0


@dataclass(frozen=True)
class BuildTask:
    """One problem: programs without a record yet, programs known to pass, and programs that were fixed before.

    known: labels that an earlier build found, by the id of the program.
    """

    problem: Problem
    pending: tuple[Sample, ...]
    passing: tuple[str, ...]
    fixed: tuple[str, ...]
    known: dict[str, dict[str, Any]] = field(default_factory=dict)


# What a worker does at a time.
Task = BuildTask | ReferenceTask | Repair


class Notice(NamedTuple):
    """Words for the person who waits for the build."""

    text: str


@dataclass(frozen=True)
class WorkerOptions:
    """fixes: the language model that is asked, and answers: the folder where its answers are kept."""

    search: SearchSettings
    weak: bool
    fixes: FixOptions | None
    answers: Path


@contextmanager
def open_search(options: WorkerOptions) -> Iterator[Callable[[Task], Iterator[dict[str, Any] | Notice]]]:
    """A sandbox, and what does a task in it: its records and notices one by one, each as soon as it is known."""
    notices: deque[Notice] = deque()
    fixer = None
    if options.fixes is not None:
        # Most builds ask nobody, and need no client for it.
        from risk_lsp.lab.patches.program_writers import Fixer

        fixer = Fixer(options.fixes, options.answers, lambda text: notices.append(Notice(text)))
    with Sandbox(weak=options.weak) as sandbox:

        def search(task: Task) -> Iterator[dict[str, Any] | Notice]:
            if isinstance(task, ReferenceTask):
                records = records_with_bugs(task, sandbox)
            elif isinstance(task, Repair):
                records = records_of_repair(task, sandbox)
            else:
                records = build_records(task, sandbox, options.search, fixer)
            for record in records:
                while notices:
                    yield notices.popleft()
                yield record
            while notices:
                yield notices.popleft()

        yield search


def build_records(
    task: BuildTask, sandbox: Sandbox, settings: SearchSettings, fixer: Fixer | None = None
) -> Iterator[dict[str, Any]]:
    """The records of a problem's pending programs, as they are found; those near to a passing program come first."""
    problem = task.problem
    pool = ProgramPool([PassingProgram(program, "passing program") for program in task.passing])
    if problem.reference:
        pool.add(PassingProgram(problem.reference, "reference"))
    for program in task.fixed:
        pool.add(PassingProgram(program, "fixed program"))
    failing = []
    for sample in task.pending:
        if sample.verified is None and _judge_whole(sandbox, problem, sample.program).passed:
            pool.add(PassingProgram(sample.program, "passing program"))
            yield labelled_record(problem, sample, passed=True)
        else:
            failing.append(sample)
    screen = screen_for(sandbox, problem, cpu_seconds=_patience(sandbox, task))
    search = PatchSearch(screen, pool, problem.entry_point, settings)
    for sample in sorted(failing, key=lambda sample: pool.distance(sample.program)):
        verdict = _judge_whole(sandbox, problem, sample.program)
        if verdict.passed:
            yield labelled_record(problem, sample, passed=True)
            continue
        label = task.known.get(sample_id(sample))
        if label is not None and (known := _known_record(label, sandbox, problem, sample)) is not None:
            if "patch" in known:
                pool.add(PassingProgram(known["patch"]["fixed"], "fixed program"))
            yield known
            continue
        started, runs = time.monotonic(), screen.runs
        asked = _Asked(fixer, problem, sample.program, verdict)
        patches = search.patches(sample.program, sample.prompt_lines, asked)
        # The smallest one that passes by itself, too.
        patch = next((patch for patch in patches if _judge_whole(sandbox, problem, patch.fixed).passed), None)
        record = labelled_record(problem, sample, passed=False, patch=patch)
        record |= {
            "error": verdict.error,
            "runs": screen.runs - runs,
            "seconds": round(time.monotonic() - started, 2),
            **asked.record(),
        }
        if patch is not None:
            pool.add(PassingProgram(patch.fixed, "fixed program"))
        screen.forget()
        yield record


class _Asked:
    """What a language model was asked for one program, if it came to that."""

    def __init__(self, fixer: Fixer | None, problem: Problem, program: str, verdict: Verdict) -> None:
        self._fixer = fixer
        self._task = (problem, program, verdict.outcome.stderr or verdict.error)
        self._fixes: AskedFixes | None = None

    def __call__(self) -> tuple[str, ...]:
        if self._fixer is None:
            return ()
        self._fixes = self._fixer.fixes(*self._task)
        return self._fixes.programs

    def record(self) -> dict[str, Any]:
        """The model that was asked, its answers and tokens; nothing where none was."""
        if self._fixes is None:
            return {}
        names = ("model", "answers", "prompt_tokens", "completion_tokens")
        return {"answered": {name: getattr(self._fixes, name) for name in names}}


def _known_record(label: dict[str, Any], sandbox: Sandbox, problem: Problem, sample: Sample) -> dict[str, Any] | None:
    """The record of a program by an earlier build's label; None where that label does not hold here."""
    if label["passed"]:
        return None
    fixed = fixed_by(problem, sample, label)
    if "patch" in label and (fixed is None or not _judge_whole(sandbox, problem, fixed).passed):
        return None
    return record_of(problem, sample, label, fixed)


def _patience(sandbox: Sandbox, task: BuildTask) -> float:
    """CPU seconds for a variant: some times what a program that passes takes."""
    known = [program for program in (*task.passing[:2], task.problem.reference) if program]
    for needed, patience in _PATIENCE:
        if any(screen_for(sandbox, task.problem, cpu_seconds=needed).passes(known)):
            return patience
    return _LONGEST


def _judge_whole(sandbox: Sandbox, problem: Problem, program: str) -> Verdict:
    sandbox.limits = TEST_LIMITS
    return judge(sandbox, problem, program)
