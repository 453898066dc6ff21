"""Which passing programs a failing one is compared with."""

from __future__ import annotations

from risk_lsp.lab.patches.search import PassingProgram, ProgramPool

FAILING = "def total(values):\n    result = 0\n    for value in values:\n        result -= value\n    return result\n"
NEAR = "def total(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return s\n"
FAR = "def total(values):\n    return sum(values)\n"


def pool(*programs: str) -> ProgramPool:
    return ProgramPool([PassingProgram(program, "passing program") for program in programs])


def nearest(*programs: str, count: int = 9) -> list[str]:
    return [candidate.program for candidate in pool(*programs).nearest(FAILING, count)]


def test_the_nearest_comes_first_although_its_names_differ() -> None:
    assert nearest(FAR, NEAR) == [NEAR, FAR]


def test_no_more_are_compared_than_wanted() -> None:
    assert nearest(FAR, NEAR, count=1) == [NEAR]


def test_programs_that_differ_in_comments_and_blank_lines_count_once() -> None:
    assert len(pool(NEAR, NEAR.replace("    s = 0\n", "    # start\n\n    s = 0  # here\n"))) == 1


def test_a_program_that_has_just_been_fixed_is_a_candidate_too() -> None:
    candidates = pool(FAR)
    fixed = FAILING.replace("-=", "+=")
    candidates.add(PassingProgram(fixed, "fixed program"))

    assert candidates.nearest(FAILING, 1) == [PassingProgram(fixed, "fixed program")]


def test_the_distance_is_that_of_the_nearest_and_none_without_candidates() -> None:
    assert 0 < pool(FAR, NEAR).distance(FAILING) == pool(NEAR).distance(FAILING) < pool(FAR).distance(FAILING)
    assert pool().distance(FAILING) == 0
    assert pool(NEAR).distance(NEAR) == 0
