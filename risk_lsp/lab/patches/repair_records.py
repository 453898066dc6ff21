"""Labelled programs from repairs: what of a published fix the tests need or, where no test shows it, all of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from risk_lsp.edits.hunks import Difference, apply_hunks, size_of
from risk_lsp.edits.lexemes import LineAligner, read_code
from risk_lsp.lab.patches.labels import labelled_record
from risk_lsp.lab.patches.programs import Repair, Sample
from risk_lsp.lab.patches.search import Patch, PatchSearch, SearchSettings
from risk_lsp.lab.patches.variants import CandidatePool
from risk_lsp.sandbox.sandbox import Sandbox
from risk_lsp.sandbox.screening import screen_for
from risk_lsp.sandbox.verdicts import TEST_LIMITS, judge
from risk_lsp.text.lines import LineIndex

_SOURCE = "published fix"
# Where no test tells what of a fix is needed, only small ones count: of so many lines, or of this share of them.
_FEW_LINES = 3
_SMALL_SHARE = 1 / 3


def records_of_repair(repair: Repair, sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    """The records of the two programs; none where neither tests nor published verdicts tell which of them works."""
    problem, broken, fixed = repair
    found = None if problem.test_kind == "none" else _needed(repair, sandbox)
    if found is None and (broken.passed, fixed.passed) == (False, True):
        found = _whole(broken, fixed)
    if found is not None:
        patch, facts = found
        yield {**labelled_record(problem, broken, passed=False, patch=patch), **facts}
        yield labelled_record(problem, fixed, passed=True)


def _needed(repair: Repair, sandbox: Sandbox) -> tuple[Patch, dict[str, Any]] | None:
    """The part of the fix without which the tests fail; None where they do not tell the two programs apart."""
    problem, broken, fixed = repair
    sandbox.limits = TEST_LIMITS
    verdict = judge(sandbox, problem, broken.program)
    if verdict.passed or not judge(sandbox, problem, fixed.program).passed:
        return None
    screen = screen_for(sandbox, problem, cpu_seconds=TEST_LIMITS.cpu_seconds)
    search = PatchSearch(screen, CandidatePool(()), problem.entry_point, SearchSettings())
    patch = search.needed_of(broken.program, broken.prompt_lines, fixed.program, _SOURCE)
    sandbox.limits = TEST_LIMITS
    if patch is None or not judge(sandbox, problem, patch.fixed).passed:
        return None
    return patch, {"error": verdict.error, "runs": screen.runs}


def _whole(broken: Sample, fixed: Sample) -> tuple[Patch, dict[str, Any]] | None:
    """All of a small fix; None for one that changes no code, or much of it."""
    lines = LineIndex(broken.program)
    given = lines.start(broken.prompt_lines) if broken.prompt_lines < lines.count else len(broken.program)
    code = read_code(broken.program)
    hunks = tuple(Difference(code, read_code(fixed.program), given, LineAligner()).hunks())
    size = size_of(hunks)
    if not hunks or size.lines > max(_FEW_LINES, _SMALL_SHARE * len(code.lines)):
        return None
    return Patch(apply_hunks(broken.program, hunks), hunks, size, _SOURCE), {}
