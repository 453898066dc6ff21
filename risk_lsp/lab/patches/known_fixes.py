"""Labelled programs whose fix is known: references with a bug put in, and programs that people or models repaired.

A small edit of a reference is a bug where the problem's tests fail with it and pass without it. Of a published fix
what the tests need is labelled; where no test shows that, all of it is.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from risk_lsp.edits.candidates import superseded_statements
from risk_lsp.edits.hunks import Difference, apply_hunks, size_of
from risk_lsp.edits.lexemes import LineAligner, read_code
from risk_lsp.edits.slips import Edit, small_edits
from risk_lsp.lab.patches.labels import labelled_record
from risk_lsp.lab.patches.programs import Kind, Repair, Sample
from risk_lsp.lab.patches.search import Patch, PatchSearch, ProgramPool, SearchSettings
from risk_lsp.sandbox.sandbox import Sandbox
from risk_lsp.sandbox.verdicts import TEST_LIMITS, Problem, judge, screen_for
from risk_lsp.text.document import LineIndex, Span
from risk_lsp.text.structure import parses

_TRIED = 6  # edits that are run for each bug that is wanted
# A bug that keeps the program from ending takes long to run, and the tests say little about its place.
_ENDLESS = {"timeout", "memory", "killed", "output_limit"}
# What a first run of any kind shows is no bug that anybody would have to look for.
_PLAIN = {"NameError", "UnboundLocalError", "TypeError", "AttributeError"}


@dataclass(frozen=True)
class ReferenceTask:
    """One problem with a reference, and how many bugs it gets.

    known: what an earlier build found for the problem, by the ids of the programs; no others are looked for then.
    """

    problem: Problem
    bugs: int
    known: dict[str, dict[str, Any]] = field(default_factory=dict)


def records_with_bugs(task: ReferenceTask, sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    """The record of the reference, if it passes, and of programs with one bug each, no two on the same line."""
    problem, reference = task.problem, task.problem.reference
    sandbox.limits = TEST_LIMITS
    if reference is None or not judge(sandbox, problem, reference).passed:
        return
    given = _given_lines(problem.prompt, reference)
    yield labelled_record(problem, reference_sample(problem), passed=True)
    lines = LineIndex(reference)
    taken: set[int] = set()
    for edit in _edits(task, lines.start(given)):
        line = lines.line_of(edit.span.start)
        if line not in taken and (record := _record(sandbox, problem, given, edit)) is not None:
            taken.add(line)
            yield record
        if len(taken) == task.bugs:
            return


def reference_sample(problem: Problem) -> Sample:
    """The problem's reference as a program that passes."""
    reference = problem.reference or ""
    return _sample(problem, reference, _given_lines(problem.prompt, reference), "reference")


def injected_samples(task: ReferenceTask) -> Iterator[Sample]:
    """The programs with the bugs that an earlier build put into the task's reference."""
    reference = task.problem.reference or ""
    given = _given_lines(task.problem.prompt, reference)
    for edit in _known_edits(task):
        yield _sample(task.problem, edit.apply(reference), given, "injected")


def _known_edits(task: ReferenceTask) -> Iterator[Edit]:
    for label in task.known.values():
        if "injected" in label:
            start, end, replacement = label["injected"]["edit"]
            yield Edit(Span(start, end), replacement, label["injected"]["operator"])


def _record(sandbox: Sandbox, problem: Problem, given: int, edit: Edit) -> dict[str, Any] | None:
    """The labelled program after an edit of the reference; None where it is no bug worth a label."""
    reference = problem.reference or ""
    program = edit.apply(reference)
    verdict = judge(sandbox, problem, program)
    if verdict.passed or verdict.error in _ENDLESS | _PLAIN:
        return None
    own, other = read_code(program), read_code(reference)
    hunks = tuple(Difference(own, other, LineIndex(program).start(given), LineAligner()).hunks())
    fixed = apply_hunks(program, hunks)
    if not hunks or not judge(sandbox, problem, fixed).passed:
        return None
    patch = Patch(fixed, hunks, size_of(hunks), "injected bug undone")
    record = labelled_record(problem, _sample(problem, program, given, "injected"), passed=False, patch=patch)
    place = [edit.span.start, edit.span.end, edit.replacement]
    return {**record, "error": verdict.error, "injected": {"edit": place, "operator": edit.operator}}


def _edits(task: ReferenceTask, given: int) -> Iterator[Edit]:
    """Edits behind the offset `given` to try: those that are known, else drawn at random, kinds taking turns."""
    yield from _known_edits(task)
    if task.known:
        return
    reference = task.problem.reference or ""
    chooser = random.Random(task.problem.task_id)
    by_operator: dict[str, list[Edit]] = defaultdict(list)
    for edit in small_edits(reference, Span(given, len(reference))):
        by_operator[edit.operator].append(edit)
    kinds = [chooser.sample(by_operator[name], len(by_operator[name])) for name in sorted(by_operator)]
    chooser.shuffle(kinds)
    superseded = superseded_statements(reference)
    tried = 0
    for edit in (edit for turn in zip_longest(*kinds) for edit in turn if edit is not None):
        program = edit.apply(reference)
        if parses(program) and superseded_statements(program) <= superseded:
            yield edit
            tried += 1
        if tried == _TRIED * task.bugs:
            return


def _given_lines(prompt: str, reference: str) -> int:
    """How many lines of the reference stand in the prompt already."""
    begun = prompt.rstrip()
    return begun.count("\n") + 1 if begun and reference.startswith(begun + "\n") else 0


def _sample(problem: Problem, program: str, given: int, kind: Kind) -> Sample:
    return Sample(
        task_id=problem.task_id,
        benchmark=problem.benchmark,
        group=problem.group,
        model=kind,
        program=program,
        prompt_lines=given,
        form="full",
        passed=None,
        verified=None,
        conflict=False,
        n=1,
        origin=f"reference:{problem.task_id}",
        kind=kind,
    )


_SOURCE = "published fix"
# Where no test tells what of a fix is needed, only small ones count: of so many lines, or of this share of them.
_FEW_LINES = 3
_SMALL_SHARE = 1 / 3


def records_of_repair(repair: Repair, sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    """The records of the two programs; none where neither tests nor published verdicts tell which of them works."""
    problem, broken, fixed = repair
    found = None if problem.test_kind == "none" else _needed_part(repair, sandbox)
    if found is None and (broken.passed, fixed.passed) == (False, True):
        found = _whole(broken, fixed)
    if found is not None:
        patch, facts = found
        yield {**labelled_record(problem, broken, passed=False, patch=patch), **facts}
        yield labelled_record(problem, fixed, passed=True)


def _needed_part(repair: Repair, sandbox: Sandbox) -> tuple[Patch, dict[str, Any]] | None:
    """The part of the fix without which the tests fail; None where they do not tell the two programs apart."""
    problem, broken, fixed = repair
    sandbox.limits = TEST_LIMITS
    verdict = judge(sandbox, problem, broken.program)
    if verdict.passed or not judge(sandbox, problem, fixed.program).passed:
        return None
    screen = screen_for(sandbox, problem, cpu_seconds=TEST_LIMITS.cpu_seconds)
    search = PatchSearch(screen, ProgramPool(()), problem.entry_point, SearchSettings())
    patch = search.needed_of(broken.program, broken.prompt_lines, fixed.program, _SOURCE)
    sandbox.limits = TEST_LIMITS
    if patch is None or not judge(sandbox, problem, patch.fixed).passed:
        return None
    return patch, {"error": verdict.error, "runs": screen.runs}


def _whole(broken: Sample, fixed: Sample) -> tuple[Patch, dict[str, Any]] | None:
    """All of a small fix; None for one that changes no code, or much of it."""
    code = read_code(broken.program)
    hunks = tuple(Difference(code, read_code(fixed.program), broken.given, LineAligner()).hunks())
    size = size_of(hunks)
    if not hunks or size.lines > max(_FEW_LINES, _SMALL_SHARE * len(code.lines)):
        return None
    return Patch(apply_hunks(broken.program, hunks), hunks, size, _SOURCE), {}
