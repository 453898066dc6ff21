"""Reliability tables, Platt scaling and isotonic regression."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.metrics import FloatArray, brier_skill_score, expected_calibration_error
from risk_lsp.lab.evaluation.reliability import (
    PlattScaling,
    isotonic_fit,
    platt_apply,
    platt_fit,
    reliability_table,
    rescale,
    shifted_to_rate,
)
from tests.lab.evaluation.strategies import Scored, scored_records


def test_a_row_says_what_a_probability_has_meant() -> None:
    rows = reliability_table([0.1, 0.2, 0.7], [0, 1, 1], [1.0, 3.0, 2.0], edges=[0.0, 0.5, 0.6, 1.0])

    assert rows == [
        pytest.approx((0.0, 0.5, (0.1 + 3 * 0.2) / 4, 0.75, 2)),
        pytest.approx((0.6, 1.0, 0.7, 1.0, 1)),
    ]


@given(scored_records())
def test_the_table_holds_the_expected_calibration_error(records: Scored) -> None:
    rows = reliability_table(records.p, records.y)
    error = sum(row.n * abs(row.predicted - row.observed) for row in rows) / len(records.p)

    assert error == pytest.approx(expected_calibration_error(records.p, records.y), abs=1e-9)


def test_the_table_agrees_with_scikit_learns_calibration_curve() -> None:
    p, y, _ = _overconfident(500)
    rows = reliability_table(p, y)
    observed, predicted = calibration_curve(y, p, n_bins=10)

    assert [row.observed for row in rows] == pytest.approx(observed)
    assert [row.predicted for row in rows] == pytest.approx(predicted)


@pytest.mark.parametrize("edges", [[0.0, 0.5], [0.1, 1.0], [0.0, 0.6, 0.5, 1.0], [0.0]])
def test_edges_that_leave_scores_out_are_refused(edges: list[float]) -> None:
    with pytest.raises(BadInput, match="must rise from 0 to 1"):
        reliability_table([0.5], [1], edges=edges)


def test_platt_scaling_agrees_with_scikit_learn() -> None:
    p, y, weights = _overconfident(800)
    n_positive, n_negative = int(y.sum()), int((1 - y).sum())
    target = np.where(y == 1, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    # A soft target t is a positive of weight t and a negative of weight 1 - t.
    logit = np.log(p / (1 - p))[:, None]
    model = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000).fit(
        np.r_[logit, logit], np.repeat([1, 0], len(y)), np.r_[weights * target, weights * (1 - target)]
    )

    assert platt_fit(p, y, weights) == pytest.approx((model.coef_[0, 0], model.intercept_[0]), abs=1e-4)


def test_platt_scaling_finds_the_map_that_distorted_the_scores() -> None:
    p, y, weights = _overconfident(20_000)

    assert platt_fit(p, y, weights) == pytest.approx((0.5, -1.0), abs=0.1)


def test_platt_scaling_mends_overconfidence() -> None:
    p, y, weights = _overconfident(4000)
    mended = platt_apply(p, platt_fit(p, y, weights))

    assert expected_calibration_error(mended, y, weights) < 0.25 * expected_calibration_error(p, y, weights)


def test_separable_classes_leave_the_fit_finite() -> None:
    scaling = platt_fit([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])

    # The smoothed targets are 1/4 and 3/4, so the corrected scores lie about there and never at 0 or 1.
    assert platt_apply([0.1, 0.9], scaling) == pytest.approx([0.25, 0.75], abs=0.1)


@pytest.mark.parametrize(("label", "expected"), [(0, 1 / 6), (1, 5 / 6)])
def test_a_single_class_leaves_the_fit_finite(label: int, expected: float) -> None:
    scaling = platt_fit([0.1, 0.3, 0.4, 0.9], [label] * 4)

    assert platt_apply([0.1, 0.5], scaling) == pytest.approx([expected, expected])


def test_equal_scores_are_moved_to_the_base_rate() -> None:
    y = [1] * 25 + [0] * 75
    scaling = platt_fit([0.9] * 100, y)

    assert scaling.slope == 1.0
    assert platt_apply([0.9], scaling) == pytest.approx([0.25], abs=0.01)


@given(scored_records())
def test_platt_scaling_does_not_depend_on_the_scale_of_weights(records: Scored) -> None:
    assert platt_fit(records.p, records.y, records.weights * 1000) == pytest.approx(
        platt_fit(*records), rel=1e-4, abs=1e-6
    )


@given(scored_records())
def test_corrected_scores_are_probabilities_strictly_between_0_and_1(records: Scored) -> None:
    corrected = platt_apply(records.p, platt_fit(*records))

    assert ((corrected > 0) & (corrected < 1)).all()


@given(st.lists(st.floats(0.001, 0.999), min_size=1))
def test_slope_one_without_intercept_changes_nothing(p: list[float]) -> None:
    assert platt_apply(p, PlattScaling(1.0, 0.0)) == pytest.approx(p)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0.01, 0.99))
def test_one_shift_of_all_log_odds_brings_the_mean_to_a_rate_and_keeps_the_order(p: list[float], rate: float) -> None:
    scores, weights = np.array(p), np.arange(1.0, len(p) + 1)

    shifted = shifted_to_rate(scores, rate, weights)

    assert np.average(shifted, weights=weights) == pytest.approx(rate, abs=1e-6)
    assert (np.diff(shifted[np.argsort(scores)]) >= 0).all()


def test_isotonic_regression_pools_violators_by_hand() -> None:
    # 0.2 (y = 1) and 0.3 (y = 0) are out of order and pool to 1/2; 0.9 stays.
    mapping = isotonic_fit([0.1, 0.2, 0.3, 0.9], [0, 1, 0, 1])

    assert mapping.predict([0.1, 0.2, 0.3, 0.6, 0.9]) == pytest.approx([0.0, 0.5, 0.5, 0.75, 1.0])


def test_beyond_the_scores_that_it_was_fitted_to_an_isotonic_map_is_flat() -> None:
    assert isotonic_fit([0.2, 0.8], [0, 1]).predict([0.0, 1.0]) == pytest.approx([0.0, 1.0])


def test_records_without_weight_do_not_bend_an_isotonic_map() -> None:
    assert isotonic_fit([0.1, 0.5, 0.9], [0, 1, 1], [1, 0, 1]).predict([0.5]) == pytest.approx([0.5])


@given(scored_records())
def test_isotonic_regression_never_turns_an_order_around(records: Scored) -> None:
    corrected = isotonic_fit(*records).predict(np.sort(records.p))

    assert (np.diff(corrected) >= 0).all()


@given(scored_records(both_classes=True))
def test_isotonic_regression_never_worsens_the_score_it_was_fitted_to(records: Scored) -> None:
    corrected = isotonic_fit(*records).predict(records.p)

    assert brier_skill_score(corrected, records.y, records.weights) >= brier_skill_score(*records) - 1e-9


def test_scores_are_mapped_by_what_other_records_have_taught() -> None:
    known, y, weights = _overconfident(400)
    found = rescale([0.2, 0.9], known, y, weights)

    assert found.platt == pytest.approx(platt_apply([0.2, 0.9], platt_fit(known, y, weights)))
    assert found.isotonic == pytest.approx(isotonic_fit(known, y, weights).predict([0.2, 0.9]))


def _overconfident(n: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Scores whose true probability is sigmoid(0.5 logit(p) - 1), labels drawn from it, and weights."""
    generator = np.random.default_rng(5)
    logit = generator.normal(0.0, 2.5, n)
    truth = 1 / (1 + np.exp(1.0 - 0.5 * logit))
    y = (generator.random(n) < truth).astype(float)
    return 1 / (1 + np.exp(-logit)), y, generator.uniform(0.5, 2.0, n)
