"""What settled lines say about a person's level."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.personal.ledger import SettledRegion
from risk_lsp.personal.level_update import LevelPrior, learnt_shift
from risk_lsp.personal.line_fates import Fate
from risk_lsp.risk.risk_map import OddsShift

NOW = 1_800_000_000.0
DAY = 86_400.0
DRAW = np.random.default_rng(7)


def regions(count: int, level: float, *, lines: int = 5, slope: float = 0.0, age: float = 0.0) -> list[SettledRegion]:
    """Regions of a person whose odds are so much higher than the bundle's, with fates drawn anew for each line."""
    made = []
    for _ in range(count):
        numbers = DRAW.uniform(0.02, 0.5, lines)
        edited = DRAW.random(lines) < OddsShift(level, slope, math.log(0.15 / 0.85)).probability(numbers)
        fates = tuple(Fate.EDITED if each else Fate.KEPT for each in edited.tolist())
        made.append(SettledRegion(NOW - age * DAY, numbers, fates))
    return made


def test_nothing_is_shifted_before_anything_is_settled() -> None:
    assert learnt_shift([], NOW) == OddsShift(0.0)


def test_a_few_lines_move_the_level_by_little() -> None:
    assert 0 < -learnt_shift(regions(3, -1.2), NOW).level < 0.9


@pytest.mark.parametrize("level", [-1.0, 0.0, 1.0])
def test_many_lines_give_the_level_of_the_person(level: float) -> None:
    assert learnt_shift(regions(1500, level), NOW).level == pytest.approx(level, abs=0.2)


def test_the_slope_is_learnt_from_many_lines_alone() -> None:
    few, many = (learnt_shift(regions(count, 0.0, slope=-0.5), NOW).slope for count in (20, 1500))
    assert few == 0.0
    assert many < -0.25


def test_what_is_old_weighs_less() -> None:
    old, fresh = (learnt_shift(regions(20, 1.2, age=age), NOW).level for age in (360, 0))
    assert 0 < old < fresh


def test_a_clock_that_went_back_makes_nothing_weigh_more() -> None:
    settled = regions(20, 1.2)
    assert learnt_shift(settled, NOW - 400 * DAY) == learnt_shift(settled, NOW)


def test_one_large_region_weighs_no_more_than_a_few_lines() -> None:
    silent = SettledRegion(NOW, np.full(100_000, 0.3), (Fate.KEPT,) * 100_000)
    few = [SettledRegion(NOW, np.full(1, 0.3), (Fate.KEPT,))] * math.ceil(1 / LevelPrior().likeness)
    assert learnt_shift([silent], NOW).level >= learnt_shift(few, NOW).level - 1e-9


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50), st.integers(1, 200))
def test_no_evidence_whatever_leaves_the_limits(lines: list[tuple[float, bool]], copies: int) -> None:
    numbers = np.array([number for number, _ in lines])
    fates = tuple(Fate.DELETED if edited else Fate.KEPT for _, edited in lines)
    shift = learnt_shift([SettledRegion(NOW, numbers, fates)] * copies, NOW)
    assert abs(shift.level) <= math.log(4) + 1e-9
    number = float(shift.probability(0.3))
    assert 0.3 / 0.7 / 4.001 <= number / (1 - number) <= 4.001 * 0.3 / 0.7
