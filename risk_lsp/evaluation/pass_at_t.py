"""pass@t: pass rate against tokens, by subsampling large frozen repair trees (Olausson et al., arXiv 2306.09896).

A frozen tree of a task has many initial programs, feedback on each that fails, and repairs of each feedback. A smaller
tree, of n_p programs, n_f feedbacks for each and n_r repairs for each, is drawn from it with replacement at every
level; it has a number of tokens and it passes or not. Averages over many drawn trees, and over tasks, make one point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class FrozenRepair:
    """A repair: whether it passes, and what it took. cost: in tokens, or in executions."""

    passed: bool
    cost: float


@dataclass(frozen=True)
class FrozenFeedback:
    """Feedback and the repairs that were made of it. Joint feedback and repair: cost 0 and one repair."""

    cost: float
    repairs: tuple[FrozenRepair, ...]


@dataclass(frozen=True)
class FrozenProgram:
    """An initial program; one that passes needs no feedback."""

    passed: bool
    cost: float
    feedbacks: tuple[FrozenFeedback, ...] = ()


@dataclass(frozen=True)
class FrozenTree:
    """All that was ever drawn for one task. BadInput if a failing program has no feedback, or feedback no repair."""

    programs: tuple[FrozenProgram, ...]

    def __post_init__(self) -> None:
        if not self.programs:
            raise BadInput("a repair tree without programs", "leave the task out")
        for program in self.programs:
            if not program.passed and (not program.feedbacks or not all(each.repairs for each in program.feedbacks)):
                raise BadInput("a repair tree with a failing program that nobody repaired", "finish the tree first")


class Shape(NamedTuple):
    """How large a drawn tree is: programs, feedbacks for each failing one, repairs for each feedback."""

    programs: int
    feedbacks: int
    repairs: int


class PassAtT(NamedTuple):
    """One point: mean cost and pass rate of drawn trees, and the ends of the rate's 95% band over tasks."""

    shape: Shape
    cost: float
    rate: float
    low: float
    high: float


def drawn(tree: FrozenTree, shape: Shape, generator: np.random.Generator) -> tuple[bool, float]:
    """Draw one smaller tree: whether anything in it passes, and what all of it costs."""
    passed, cost = False, 0.0
    for program in _draw(tree.programs, shape.programs, generator):
        cost += program.cost
        passed = passed or program.passed
        if program.passed:
            continue
        for feedback in _draw(program.feedbacks, shape.feedbacks, generator):
            repairs = _draw(feedback.repairs, shape.repairs, generator)
            cost += feedback.cost + sum(repair.cost for repair in repairs)
            passed = passed or any(repair.passed for repair in repairs)
    return passed, cost


def pass_at_t(
    trees: Sequence[FrozenTree], shapes: Sequence[Shape], *, draws: int = 200, resamples: int = 1000, seed: int = 0
) -> list[PassAtT]:
    """For each shape: the mean over tasks of drawn trees' pass rate and cost, by cost; bands resample the tasks."""
    if not trees or not shapes or draws < 1:
        raise BadInput("nothing to draw repair trees from", "give at least one tree, one shape and one draw")
    generator = np.random.default_rng(seed)
    points = []
    for shape in shapes:
        outcomes = np.array([[drawn(tree, shape, generator) for _ in range(draws)] for tree in trees], dtype=np.float64)
        rates, costs = outcomes[:, :, 0].mean(axis=1), outcomes[:, :, 1].mean(axis=1)
        low, high = band(rates, resamples, generator)
        points.append(PassAtT(shape, float(costs.mean()), float(rates.mean()), low, high))
    return sorted(points, key=lambda point: point.cost)


def band(values: NDArray[np.float64], resamples: int, generator: np.random.Generator) -> tuple[float, float]:
    """The 2.5% and 97.5% points of the mean when tasks are resampled."""
    chosen = generator.integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[chosen].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def rate_by_cost(
    first_pass: Sequence[float], at: Sequence[float], *, resamples: int = 1000, seed: int = 0
) -> list[tuple[float, float, float, float]]:
    """(cost, share of tasks solved within it, low, high) at each cost of `at`; infinity for a task never solved."""
    firsts = np.asarray(first_pass, dtype=np.float64)
    if not len(firsts):
        raise BadInput("no tasks", "give at least one")
    generator = np.random.default_rng(seed)
    rows = []
    for cost in at:
        solved = (firsts <= cost).astype(np.float64)
        rows.append((float(cost), float(solved.mean()), *band(solved, resamples, generator)))
    return rows


def _draw(items: Sequence[_Item], count: int, generator: np.random.Generator) -> list[_Item]:
    return [items[index] for index in generator.integers(len(items), size=count)]
