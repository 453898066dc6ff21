"""Minimal patches of failing programs, judged by the real sandbox."""

from __future__ import annotations

from itertools import combinations

import pytest

from risk_lsp.edits.hunks import apply_hunks
from risk_lsp.lab.patches.search import PassingProgram, Patch, PatchSearch, ProgramPool, SearchSettings
from risk_lsp.sandbox.isolation import Limits
from risk_lsp.sandbox.sandbox import Sandbox
from risk_lsp.sandbox.verdicts import Problem, judge, screen_for

PROMPT = (
    'def largest_gap(values):\n    """The largest difference of neighbours in sorted order; 0 for fewer than two."""\n'
)
PROBLEM = Problem(
    *("Own/1", "own", "Own/1", PROMPT, "largest_gap", "append"),
    "assert largest_gap([5, 1, 2]) == 3\nassert largest_gap([4]) == 0\nassert largest_gap([]) == 0\n"
    "assert largest_gap([1, 9, 3, 4]) == 5\n",
    *(None, ""),
)
PASSING = """\
def largest_gap(numbers):
    numbers = sorted(numbers)
    best = 0
    for i in range(len(numbers) - 1):
        best = max(best, numbers[i + 1] - numbers[i])
    return best
"""
FAILING = {
    "a wrong comparison and a wrong bound": PROMPT
    + """\
    values = sorted(values)  # ascending
    gap = 0
    # every neighbour
    for k in range(len(values)):
        gap = min(gap, values[k + 1] - values[k])
    return gap
""",
    "a missing line": PROMPT
    + """\
    gap = 0
    for k in range(len(values) - 1):
        gap = max(gap, values[k + 1] - values[k])
    return gap
""",
    "a return too deep": PROMPT
    + """\
    values = sorted(values)
    gap = 0
    for k in range(len(values) - 1):
        gap = max(gap, values[k + 1] - values[k])
        return gap
    return gap
""",
    "nothing in common": PROMPT + "    return values\n",
    "a body that is missing": PROMPT + "    pass\n",
}
SAMPLE = pytest.mark.parametrize("program", FAILING.values(), ids=FAILING)


def best_patch(sandbox: Sandbox, program: str, passing: tuple[str, ...] = (PASSING,)) -> Patch:
    pool = ProgramPool([PassingProgram(text, "passing program") for text in passing])
    search = PatchSearch(screen_for(sandbox, PROBLEM), pool, "largest_gap", SearchSettings())
    patch = search.patches(program, PROMPT.count("\n"))[0]
    sandbox.close()
    sandbox.limits = Limits()
    return patch


@SAMPLE
def test_the_fixed_program_passes(shared_sandbox: Sandbox, program: str) -> None:
    assert judge(shared_sandbox, PROBLEM, best_patch(shared_sandbox, program).fixed).passed
    shared_sandbox.close()


@SAMPLE
def test_without_any_one_of_its_hunks_a_patch_does_not_work(shared_sandbox: Sandbox, program: str) -> None:
    hunks = best_patch(shared_sandbox, program).hunks

    for rest in combinations(hunks, len(hunks) - 1):
        assert not judge(shared_sandbox, PROBLEM, apply_hunks(program, rest)).passed
    shared_sandbox.close()


@SAMPLE
def test_only_code_that_the_model_wrote_is_touched(shared_sandbox: Sandbox, program: str) -> None:
    patch = best_patch(shared_sandbox, program)
    marks = [span for hunk in patch.hunks for span in hunk.marked]

    assert patch.fixed.startswith(PROMPT)
    assert marks
    assert all(span.start >= len(PROMPT) for span in marks)
    assert not any("#" in program[program.rfind("\n", 0, span.start) : span.end] for span in marks)


def test_comments_survive(shared_sandbox: Sandbox) -> None:
    fixed = best_patch(shared_sandbox, FAILING["a wrong comparison and a wrong bound"]).fixed

    assert "  # ascending\n" in fixed
    assert "    # every neighbour\n" in fixed


def test_the_patch_is_small_although_names_differ(shared_sandbox: Sandbox) -> None:
    program = FAILING["a wrong comparison and a wrong bound"]
    patch = best_patch(shared_sandbox, program)

    assert [program[slice(*span)] for hunk in patch.hunks for span in hunk.marked] == [")", "min"]


def test_without_any_passing_program_small_edits_are_tried(shared_sandbox: Sandbox) -> None:
    program = FAILING["a missing line"].replace("    gap = 0\n", "    values = sorted(values)\n    gap = 0\n")
    program = program.replace("max(", "min(")

    assert best_patch(shared_sandbox, program, passing=()).source == "small edit"


def test_code_is_replaced_and_not_cut_off(shared_sandbox: Sandbox) -> None:
    program = PROMPT + "    values.sort()\n    return values[-1] - values[0]\n"

    assert "values[-1]" not in best_patch(shared_sandbox, program).fixed
