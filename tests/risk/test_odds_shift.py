"""One person's level: odds that are shifted within limits, and stay coherent where only some lines are generated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.probe.calibration import PLACES, Place, Priors
from risk_lsp.risk.presentation import place_risks
from risk_lsp.risk.risk_map import LARGEST_RATIO, OddsShift, ShiftedRisk
from risk_lsp.text.document import LineIndex, Span
from tests.risk.maps import risk_map, risk_maps, span_in

shifts = st.builds(
    OddsShift, level=st.floats(-10, 10), slope=st.floats(-0.9, 2.0), centre=st.floats(-5, 2), lines=st.just(100)
)


def odds(probability: float) -> float:
    return probability / (1 - probability)


@pytest.mark.parametrize("factor", [0.25, 0.5, 2.0, 4.0])
def test_a_level_multiplies_the_odds(factor: float) -> None:
    shifted = float(OddsShift(math.log(factor)).probability(0.31))
    assert odds(shifted) == pytest.approx(factor * odds(0.31))


@given(shifts, st.floats(1e-6, 0.999))
def test_the_odds_never_leave_a_quarter_to_four_times(shift: OddsShift, probability: float) -> None:
    ratio = odds(float(shift.probability(probability))) / odds(probability)
    assert 1 / LARGEST_RATIO * (1 - 1e-6) <= ratio <= LARGEST_RATIO * (1 + 1e-6)


@given(shifts, st.lists(st.floats(0.0, 1.0), min_size=2))
def test_the_order_of_numbers_stays(shift: OddsShift, numbers: list[float]) -> None:
    shifted = shift.probability(sorted(numbers))
    assert (np.diff(shifted) >= -1e-15).all()
    assert ((shifted >= 0) & (shifted <= 1)).all()


def test_certainty_either_way_stays() -> None:
    assert OddsShift(1.0, 0.5).probability([0.0, 1.0]).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(("level", "slope"), [(math.nan, 0.0), (0.0, -1.0), (math.inf, 0.0)])
def test_a_shift_that_would_turn_the_order_is_refused(level: float, slope: float) -> None:
    with pytest.raises(ValueError, match="no shift"):
        OddsShift(level, slope)


@given(st.data())
def test_a_span_inside_another_one_is_never_likelier(data: st.DataObject) -> None:
    risk = data.draw(risk_maps())
    count = len(risk.starts)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype=np.bool_)
    shifted = ShiftedRisk(risk, mask, data.draw(shifts))
    start, end = data.draw(span_in(risk.text_length))
    inner = data.draw(span_in(end - start))
    assert shifted.probability(start + inner[0], start + inner[1]) <= shifted.probability(start, end) + 1e-15


def test_only_generated_lines_are_shifted() -> None:
    text = "a\nb\n"
    places = np.array([PLACES.index(Place.GENERATED), PLACES.index(Place.AT_REST), 0], dtype=np.int8)
    risk = risk_map([(0, 1), (2, 3)], [0.5, 0.5], length=4)
    here = place_risks(risk, LineIndex(text), places, Priors(), "python", OddsShift(math.log(2)))
    assert odds(here.risks.probability(0, 1)) == pytest.approx(2 * odds(risk.probability(0, 1)))
    assert here.risks.probability(2, 3) == pytest.approx(risk.probability(2, 3))


def test_what_others_are_told_is_known_of_generated_spans_alone() -> None:
    places = np.array([PLACES.index(Place.GENERATED), PLACES.index(Place.AT_REST), 0], dtype=np.int8)
    risk = risk_map([(0, 1), (2, 3)], [0.5, 0.5], length=4)
    here = place_risks(risk, LineIndex("a\nb\n"), places, Priors(), "python", OddsShift(math.log(2)))
    assert here.before_shift(Span(0, 1)) == pytest.approx(risk.probability(0, 1))
    assert here.before_shift(Span(2, 3)) is None
