"""Metrics against hand-worked cases, scikit-learn, and their defining properties."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import assume, given
from numpy.typing import ArrayLike
from sklearn.metrics import brier_score_loss, roc_auc_score

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.metrics import (
    adaptive_calibration_error,
    auc,
    base_rate,
    brier_skill_score,
    expected_calibration_error,
)
from tests.lab.evaluation.strategies import Scored, scored_records

METRICS = [brier_skill_score, expected_calibration_error, adaptive_calibration_error, auc]


def test_brier_skill_score_by_hand() -> None:
    # Base rate 1/4, so the reference is 3/16; the score is (0.16 + 3 * 0.04) / 4 = 0.07.
    assert brier_skill_score([0.6, 0.2, 0.2, 0.2], [1, 0, 0, 0]) == pytest.approx(1 - 0.07 * 16 / 3)


def test_the_base_rate_itself_has_no_skill() -> None:
    y, weights = [1, 0, 0, 1], [1.0, 2.0, 4.0, 1.0]

    assert brier_skill_score([0.25] * 4, y, weights) == pytest.approx(0.0)
    assert base_rate(y, weights) == 0.25


def test_skill_is_undefined_without_both_outcomes() -> None:
    assert math.isnan(brier_skill_score([0.1, 0.2], [0, 0]))


def test_expected_calibration_error_by_hand() -> None:
    # Bin [0.1, 0.2): mean p 0.15, mean y 0.5, weight 2 of 4. Bin [0.8, 0.9): mean p 0.8, mean y 1, weight 2 of 4.
    error = expected_calibration_error([0.12, 0.18, 0.8], [0, 1, 1], [1, 1, 2])

    assert error == pytest.approx(0.5 * 0.35 + 0.5 * 0.2)


def test_a_score_on_an_edge_belongs_to_the_bin_above() -> None:
    # 0.3 shares a bin with 0.39 and not with 0.29: apart, the gaps would cancel within [0.2, 0.3).
    assert expected_calibration_error([0.3, 0.39], [0, 1]) == pytest.approx(abs(0.345 - 0.5))
    assert expected_calibration_error([0.3, 0.29], [0, 1]) == pytest.approx((0.3 + 0.71) / 2)


def test_certainty_belongs_to_the_last_bin() -> None:
    assert expected_calibration_error([1.0, 0.9], [0, 1]) == pytest.approx(0.45)


def test_adaptive_bins_hold_equal_weight() -> None:
    # Two bins of weight 2: {0.01, 0.02} with mean y 0.5, and {0.03} with mean y 0.
    error = adaptive_calibration_error([0.01, 0.02, 0.03], [0, 1, 0], [1, 1, 2], bins=2)

    assert error == pytest.approx(0.5 * 0.485 + 0.5 * 0.03)


def test_adaptive_bins_keep_equal_scores_together() -> None:
    assert adaptive_calibration_error([0.5] * 4, [0, 0, 1, 1], bins=4) == pytest.approx(0.0)


def test_auc_by_hand_with_a_tie_and_weights() -> None:
    # Pairs (positive, negative): 0.5 with 0.5 (a tie, weight 2 * 1), 0.5 with 0.1 (right order, weight 2 * 3).
    assert auc([0.5, 0.5, 0.1], [1, 0, 0], [2, 1, 3]) == pytest.approx((0.5 * 2 + 6) / 8)


def test_auc_is_undefined_when_a_class_has_no_weight() -> None:
    assert math.isnan(auc([0.1, 0.9], [0, 1], [1, 0]))


def test_auc_takes_scores_that_are_no_probabilities() -> None:
    assert auc([-3.0, 12.0], [0, 1]) == 1.0


@given(scored_records(both_classes=True))
def test_auc_agrees_with_scikit_learn(records: Scored) -> None:
    assert auc(*records) == pytest.approx(roc_auc_score(records.y, records.p, sample_weight=records.weights))


@pytest.mark.skipif(not hasattr(sklearn.metrics, "d2_brier_score"), reason="scikit-learn has it since 1.8")
@given(scored_records(both_classes=True))
def test_brier_skill_score_agrees_with_scikit_learn(records: Scored) -> None:
    expected = sklearn.metrics.d2_brier_score(records.y, records.p, sample_weight=records.weights, pos_label=1.0)

    assert brier_skill_score(*records) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
@given(records=scored_records(both_classes=True))
def test_a_weight_of_two_is_the_record_twice(metric: Callable[..., float], records: Scored) -> None:
    doubled = [np.r_[column, column[:1]] for column in records]
    weights = np.r_[records.weights[:1] * 2, records.weights[1:]]

    assert metric(records.p, records.y, weights) == pytest.approx(metric(*doubled), abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
@given(records=scored_records(both_classes=True))
def test_the_order_of_records_does_not_matter(metric: Callable[..., float], records: Scored) -> None:
    assert metric(*(column[::-1] for column in records)) == pytest.approx(metric(*records), abs=1e-9)


@given(scored_records(both_classes=True))
def test_turning_the_scores_around_mirrors_the_auc(records: Scored) -> None:
    assert auc(-records.p, records.y, records.weights) == pytest.approx(1.0 - auc(*records))


@given(scored_records())
def test_one_bin_measures_the_gap_between_means(records: Scored) -> None:
    gap = abs(base_rate(records.y, records.weights) - np.average(records.p, weights=records.weights))

    assert expected_calibration_error(*records, bins=1) == pytest.approx(gap, abs=1e-9)
    assert adaptive_calibration_error(*records, bins=1) == pytest.approx(gap, abs=1e-9)


def _brier(p: ArrayLike, y: ArrayLike, weights: ArrayLike) -> float:
    return float(brier_score_loss(y, p, sample_weight=weights, pos_label=1.0))


@given(scored_records(both_classes=True))
def test_more_skill_is_exactly_a_lower_brier_score(records: Scored) -> None:
    rate = base_rate(records.y, records.weights)
    constant = np.full_like(records.p, rate)
    assume(abs(_brier(*records) - _brier(constant, records.y, records.weights)) > 1e-9)

    better = _brier(*records) < _brier(constant, records.y, records.weights)
    assert (brier_skill_score(*records) > 0) == better


@pytest.mark.parametrize(
    ("p", "y", "weights", "complaint"),
    [
        ([], [], None, "no records"),
        ([0.1], [0, 1], None, "do not match"),
        ([0.1, 0.2], [0, 1], [1.0], "do not match"),
        ([math.nan], [1], None, "not finite"),
        ([1.2], [1], None, "not probabilities"),
        ([0.2], [0.5], None, "neither 0 nor 1"),
        ([0.2], [1], [-1.0], "not negative"),
        ([0.2], [1], [0.0], "not all zero"),
    ],
)
def test_bad_records_are_refused_by_name(p: object, y: object, weights: object, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        brier_skill_score(p, y, weights)  # type: ignore[arg-type]
