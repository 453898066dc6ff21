"""pass@t: drawn trees against closed forms, and those against every draw there is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.pass_rates import (
    FrozenFeedback,
    FrozenProgram,
    FrozenRepair,
    FrozenTree,
    Shape,
    draw_tree,
    pass_at_t,
)

GOOD, BAD = FrozenRepair(True, 7.0), FrozenRepair(False, 5.0)
SMALL = FrozenTree(
    (
        FrozenProgram(False, 10.0, (FrozenFeedback(3.0, (BAD, GOOD)), FrozenFeedback(4.0, (BAD, BAD)))),
        FrozenProgram(False, 12.0, (FrozenFeedback(2.0, (BAD, BAD, GOOD)),)),
        FrozenProgram(True, 11.0),
    )
)
HOPELESS = FrozenTree((FrozenProgram(False, 10.0, (FrozenFeedback(1.0, (BAD,)),)),))
SHAPES = [Shape(1, 1, 1), Shape(1, 2, 1), Shape(2, 1, 1), Shape(1, 1, 2), Shape(2, 1, 2)]


def exact_rate(tree: FrozenTree, shape: Shape) -> float:
    """The chance that a drawn tree passes, in closed form: draws are independent and with replacement."""
    fails = np.mean([program_fails(program, shape) for program in tree.programs])
    return float(1.0 - fails**shape.programs)


def exact_cost(tree: FrozenTree, shape: Shape) -> float:
    """The mean cost of a drawn tree, in closed form."""
    return float(shape.programs * np.mean([program_cost(program, shape) for program in tree.programs]))


def program_fails(program: FrozenProgram, shape: Shape) -> float:
    if program.passed:
        return 0.0
    each = [
        float(np.mean([not repair.passed for repair in feedback.repairs]) ** shape.repairs)
        for feedback in program.feedbacks
    ]
    return float(np.mean(each) ** shape.feedbacks)


def program_cost(program: FrozenProgram, shape: Shape) -> float:
    if program.passed:
        return program.cost
    each = [
        feedback.cost + shape.repairs * float(np.mean([repair.cost for repair in feedback.repairs]))
        for feedback in program.feedbacks
    ]
    return program.cost + shape.feedbacks * float(np.mean(each))


def every_draw(tree: FrozenTree, shape: Shape) -> Iterator[tuple[float, bool, float]]:
    """Each tree that can be drawn: its chance, whether it passes, and its cost."""

    def of_feedback(feedback: FrozenFeedback) -> Iterator[tuple[float, bool, float]]:
        chance = 1 / len(feedback.repairs) ** shape.repairs
        for repairs in product(feedback.repairs, repeat=shape.repairs):
            yield chance, any(r.passed for r in repairs), feedback.cost + sum(r.cost for r in repairs)

    def of_program(program: FrozenProgram) -> Iterator[tuple[float, bool, float]]:
        if program.passed:
            yield 1.0, True, program.cost
            return
        each = [
            (chance / len(program.feedbacks), passed, cost)
            for feedback in program.feedbacks
            for chance, passed, cost in of_feedback(feedback)
        ]
        for chosen in product(each, repeat=shape.feedbacks):
            chance = float(np.prod([draw[0] for draw in chosen]))
            yield chance, any(draw[1] for draw in chosen), program.cost + sum(draw[2] for draw in chosen)

    each = [
        (chance / len(tree.programs), passed, cost)
        for program in tree.programs
        for chance, passed, cost in of_program(program)
    ]
    for chosen in product(each, repeat=shape.programs):
        chance = float(np.prod([draw[0] for draw in chosen]))
        yield chance, any(draw[1] for draw in chosen), sum(draw[2] for draw in chosen)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tree", [SMALL, HOPELESS])
def test_the_closed_forms_are_the_means_over_every_draw(tree: FrozenTree, shape: Shape) -> None:
    draws = list(every_draw(tree, shape))

    assert sum(chance for chance, _, _ in draws) == pytest.approx(1)
    assert exact_rate(tree, shape) == pytest.approx(sum(chance for chance, passed, _ in draws if passed))
    assert exact_cost(tree, shape) == pytest.approx(sum(chance * cost for chance, _, cost in draws))


@pytest.mark.parametrize("shape", SHAPES)
def test_drawn_trees_come_to_the_closed_forms(shape: Shape) -> None:
    generator = np.random.default_rng(7)
    outcomes = np.array([draw_tree(SMALL, shape, generator) for _ in range(8000)], dtype=float)

    # Five standard errors: 0.5 / sqrt(8000) bounds that of a share.
    assert outcomes[:, 0].mean() == pytest.approx(exact_rate(SMALL, shape), abs=5 * 0.5 / 8000**0.5)
    assert outcomes[:, 1].mean() == pytest.approx(exact_cost(SMALL, shape), abs=5 * outcomes[:, 1].std() / 8000**0.5)


def test_points_are_in_the_order_of_their_cost_and_bands_hold_the_rate() -> None:
    points = pass_at_t([SMALL, HOPELESS, SMALL], SHAPES, draws=100, resamples=200)

    assert [point.cost for point in points] == sorted(point.cost for point in points)
    assert all(point.low <= point.rate <= point.high for point in points)


def test_the_same_seed_gives_the_same_points() -> None:
    one, other = (pass_at_t([SMALL, HOPELESS], SHAPES, draws=20, resamples=50, seed=3) for _ in range(2))

    assert one == other


def test_tasks_that_always_or_never_pass_have_no_band() -> None:
    (point,) = pass_at_t([HOPELESS, HOPELESS], [Shape(1, 1, 1)], draws=10, resamples=50)

    assert (point.rate, point.low, point.high) == (0.0, 0.0, 0.0)


def test_a_tree_that_ends_at_a_failing_program_is_refused() -> None:
    with pytest.raises(BadInput, match="nobody repaired"):
        FrozenTree((FrozenProgram(False, 1.0),))


@pytest.mark.parametrize("trees", [[], [SMALL]])
def test_nothing_to_draw_is_refused(trees: list[FrozenTree]) -> None:
    with pytest.raises(BadInput):
        pass_at_t(trees, [] if trees else SHAPES)
