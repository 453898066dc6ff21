"""PooledRiskMap: any-span probabilities of the max-pool probe."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.errors import BadInput
from risk_lsp.risk.pooled_risk_map import PooledRiskMap
from risk_lsp.risk.transfer import risk_from_arrays
from tests.risk.maps import int32, pooled_risk_maps, span_in


def naive_probability(risk: PooledRiskMap, start: int, end: int) -> float:
    """The definition, without tables."""
    rows = (risk.starts < end) & (risk.ends > start) & (start < end)
    if not rows.any():
        return 0.0
    score = risk.features[rows].max(axis=0).astype(np.float64) @ risk.weights.astype(np.float64) + risk.bias
    return float(1 / (1 + np.exp(-score)))


@given(pooled_risk_maps(), st.data())
def test_a_span_s_probability_comes_from_the_maxima_over_its_tokens(risk: PooledRiskMap, data: st.DataObject) -> None:
    start, end = data.draw(span_in(risk.text_length))
    assert risk.probability(start, end) == pytest.approx(naive_probability(risk, start, end), abs=1e-9)


@given(pooled_risk_maps(), st.data())
def test_many_spans_at_once_get_what_each_gets_by_itself(risk: PooledRiskMap, data: st.DataObject) -> None:
    spans = data.draw(st.lists(span_in(risk.text_length), max_size=20))
    together = risk.probabilities([start for start, _ in spans], [end for _, end in spans])
    assert together.tolist() == pytest.approx([naive_probability(risk, *span) for span in spans], abs=1e-9)


@given(pooled_risk_maps())
def test_a_map_sent_as_arrays_arrives_equal(risk: PooledRiskMap) -> None:
    arrived = risk_from_arrays(*risk.to_arrays())
    assert arrived.probability(0, risk.text_length) == risk.probability(0, risk.text_length)
    assert arrived.token_probabilities().tolist() == risk.token_probabilities().tolist()


def test_a_wider_span_may_be_less_likely_because_this_probe_is_not_coherent() -> None:
    features = np.array([[0.0], [5.0]], dtype=np.float32)
    risk = PooledRiskMap(4, int32([0, 2]), int32([2, 4]), features, np.array([-1.0]), bias=0.0)
    assert risk.probability(0, 4) < risk.probability(0, 2)


def test_features_that_do_not_match_the_weights_are_refused() -> None:
    with pytest.raises(BadInput, match=r"shape \(1, 2\)"):
        PooledRiskMap(2, int32([0]), int32([2]), np.ones((1, 2)), np.ones(3), bias=0.0)


def test_features_that_are_not_finite_are_refused() -> None:
    with pytest.raises(BadInput, match="not finite"):
        PooledRiskMap(2, int32([0]), int32([2]), np.array([[np.nan]]), np.ones(1), bias=0.0)
