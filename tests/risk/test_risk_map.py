"""RiskMap: any-span probabilities from per-token hazards."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_lsp.errors import BadInput, WorkerError
from risk_lsp.probe.calibration import Calibration
from risk_lsp.risk.risk_map import RiskMap
from tests.risk.maps import int32, risk_map, risk_maps, span_in


def naive_hazard(risk: RiskMap, start: int, end: int) -> float:
    """The definition: a span's tokens are those that overlap it, and an empty span overlaps nothing."""
    if start == end:
        return 0.0
    tokens = zip(risk.starts, risk.ends, risk.hazards, strict=True)
    return sum(float(hazard) for first, last, hazard in tokens if first < end and last > start)


@given(risk_maps(), st.data())
def test_a_span_s_probability_comes_from_the_hazards_of_the_tokens_that_overlap_it(
    risk: RiskMap, data: st.DataObject
) -> None:
    start, end = data.draw(span_in(risk.text_length))
    total = float(risk.hazards.sum(dtype=np.float64))
    expected = naive_hazard(risk, start, end)
    # Differences of prefix sums are exact to the last digits of the whole text's sum.
    low, high = risk.calibration.probability(np.maximum(expected + np.array([-1e-12, 1e-12]) * total, 0.0))
    assert low - 1e-6 <= risk.probability(start, end) <= high + 1e-6


@settings(max_examples=500)
@given(risk_maps(), st.data())
def test_a_span_inside_another_is_never_likelier_to_be_edited(risk: RiskMap, data: st.DataObject) -> None:
    outer_start, outer_end = data.draw(span_in(risk.text_length))
    start = data.draw(st.integers(outer_start, outer_end))
    end = data.draw(st.integers(start, outer_end))
    assert 0.0 <= risk.probability(start, end) <= risk.probability(outer_start, outer_end) <= 1.0


@given(risk_maps(), st.data())
def test_many_spans_at_once_get_exactly_what_each_gets_by_itself(risk: RiskMap, data: st.DataObject) -> None:
    spans = data.draw(st.lists(span_in(risk.text_length), max_size=20))
    together = risk.probabilities([start for start, _ in spans], [end for _, end in spans])
    assert together.tolist() == [risk.probability(start, end) for start, end in spans]


@pytest.mark.parametrize("shape", [(7,), (2, 3), (3, 2, 2), (5, 0)])
def test_spans_that_are_too_many_for_one_go_come_in_their_places(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    random = np.random.default_rng(4)
    risk = risk_map([(0, 4), (4, 8), (8, 9)], [0.5, 0.1, 0.9])
    starts, ends = np.sort(random.integers(0, 10, (2, *shape)), axis=0)
    whole = risk.probabilities(starts, ends)
    monkeypatch.setattr("risk_lsp.risk.risk_map._SPANS_AT_ONCE", 2)

    np.testing.assert_array_equal(risk.probabilities(starts, ends), whole)
    with pytest.raises(BadInput, match="span 3-2 does not fit"):
        risk.probabilities([0, 0, 0, 0, 3], [1, 1, 1, 1, 2])


@given(risk_maps())
def test_a_token_s_own_probability_is_that_of_its_hazard_alone(risk: RiskMap) -> None:
    alone = [risk_map([(0, 1)], [hazard], calibration=risk.calibration).probability(0, 1) for hazard in risk.hazards]
    assert risk.token_probabilities().tolist() == alone


@given(risk_maps(), st.data())
def test_some_tokens_have_the_probabilities_they_have_among_all(risk: RiskMap, data: st.DataObject) -> None:
    some = data.draw(st.lists(st.integers(0, len(risk.hazards) - 1), max_size=5)) if len(risk.hazards) else []
    tokens = np.array(some, dtype=np.intp)
    assert risk.token_probabilities(tokens).tolist() == risk.token_probabilities()[tokens].tolist()


@given(risk_maps(), st.data())
def test_a_map_sent_as_arrays_arrives_equal(risk: RiskMap, data: st.DataObject) -> None:
    arrived = RiskMap.from_arrays(*risk.to_arrays())
    start, end = data.draw(span_in(risk.text_length))
    assert arrived.probability(start, end) == risk.probability(start, end)
    assert arrived.to_arrays()[0] == risk.to_arrays()[0]


def test_the_probability_is_one_minus_the_survival_of_all_tokens() -> None:
    risk = risk_map([(0, 3), (3, 5), (5, 9)], [0.1, 0.2, 0.4])
    assert risk.probability(0, 5) == pytest.approx(1 - np.exp(-0.3), rel=1e-6)


def test_frailty_pulls_the_probability_of_many_tokens_down() -> None:
    risk = risk_map([(0, 3), (3, 5)], [0.5, 0.5], calibration=Calibration(theta=2.0))
    assert risk.probability(0, 5) == pytest.approx(1 - (1 + 2.0 * 1.0) ** -0.5, rel=1e-6)


def test_scale_and_power_act_on_the_sum() -> None:
    risk = risk_map([(0, 3), (3, 5)], [0.5, 0.75], calibration=Calibration(scale=0.4, power=2.0))
    assert risk.probability(0, 5) == pytest.approx(1 - np.exp(-0.4 * 1.25**2), rel=1e-6)


def test_a_span_that_touches_one_character_of_a_token_has_that_token() -> None:
    risk = risk_map([(0, 4), (4, 8)], [0.5, 0.0])
    assert risk.probability(3, 6) == risk.probability(0, 4)


def test_tokens_that_share_a_character_all_count_for_it() -> None:
    risk = risk_map([(0, 1), (0, 1), (1, 2)], [0.2, 0.3, 0.0])
    assert risk.probability(0, 1) == pytest.approx(1 - np.exp(-0.5), rel=1e-6)


@pytest.mark.parametrize(("start", "end"), [(2, 2), (3, 4), (6, 7)], ids=["empty", "a gap", "after the last token"])
def test_a_span_without_tokens_has_probability_zero(start: int, end: int) -> None:
    assert risk_map([(0, 3), (4, 6)], [1.0, 1.0], length=7).probability(start, end) == 0.0


def test_an_empty_text_has_probability_zero() -> None:
    assert risk_map([], [], length=0).probability(0, 0) == 0.0


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (0, 6), (3, 2)])
def test_a_span_outside_of_the_text_is_refused_by_name(start: int, end: int) -> None:
    with pytest.raises(BadInput, match=f"span {start}-{end} does not fit a text of 5 characters"):
        risk_map([(0, 5)], [0.1]).probability(start, end)


def test_fractional_offsets_are_refused() -> None:
    with pytest.raises(BadInput, match="whole numbers"):
        risk_map([(0, 5)], [0.1]).probabilities([0.5], [2.0])


@pytest.mark.parametrize("hazard", [float("nan"), float("inf"), -0.01, 1e300])
def test_a_hazard_that_is_not_a_finite_number_above_zero_is_refused_by_its_token(hazard: float) -> None:
    with pytest.raises(BadInput, match="hazard of token 1"):
        risk_map([(0, 2), (2, 5)], [0.1, hazard])


def test_hazards_that_do_not_match_the_tokens_are_refused() -> None:
    with pytest.raises(BadInput, match="for 2 tokens"):
        RiskMap(4, int32([0, 2]), int32([2, 4]), np.ones(3), Calibration())


@pytest.mark.parametrize("tokens", [[(2, 4), (0, 2)], [(0, 9)], [(-1, 3)], [(3, 2)]])
def test_token_spans_out_of_order_or_outside_of_the_text_are_refused(tokens: list[tuple[int, int]]) -> None:
    with pytest.raises(BadInput, match="out of order, or leave the text"):
        risk_map(tokens, [0.1] * len(tokens), length=5)


def test_risks_of_a_kind_from_another_version_are_refused() -> None:
    with pytest.raises(WorkerError, match="unknown kind 'tensor'"):
        RiskMap.from_arrays({"kind": "tensor"}, {})


def test_risks_that_lack_an_array_are_refused() -> None:
    header, arrays = risk_map([(0, 5)], [0.1]).to_arrays()
    del arrays["hazards"]
    with pytest.raises(WorkerError, match="hazards"):
        RiskMap.from_arrays(header, arrays)


def test_a_million_random_spans_of_two_thousand_tokens_take_well_under_a_second() -> None:
    random = np.random.default_rng(0)
    ends = np.cumsum(random.integers(1, 8, 2000))
    starts = np.concatenate(([0], ends[:-1]))
    risk = RiskMap(int(ends[-1]), starts, ends, random.exponential(0.01, 2000), Calibration(0.7, 1.2, 0.9))
    spans = np.sort(random.integers(0, risk.text_length + 1, (1_000_000, 2)), axis=1)
    best = min(_seconds(lambda: risk.probabilities(spans[:, 0], spans[:, 1])) for _ in range(3))
    assert best < 0.5


def _seconds(action: object) -> float:
    assert callable(action)
    before = time.process_time()
    action()
    return time.process_time() - before
