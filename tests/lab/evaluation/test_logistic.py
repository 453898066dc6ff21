"""The logistic model of a span's features: weights, the penalty, and labels that leave it little to learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from risk_lsp.lab.evaluation.rivals import fit_logistic

ROWS, FEATURES, RIDGE = 500, 4, 0.01


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(2)
    features = random.normal(size=(ROWS, FEATURES)) * [1, 5, 0.1, 1] + [0, 10, 0, 0]
    labels = random.random(ROWS) < 1 / (1 + np.exp(-(features[:, 0] + 0.2 * (features[:, 1] - 10) - 0.5)))
    return features, labels, random.random(ROWS) + 0.1


def test_weights_penalty_and_standard_features_are_those_of_scikit_learn(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    features, labels, weights = rows
    mean = np.average(features, axis=0, weights=weights)
    standard = (features - mean) / np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights))
    plain = LogisticRegression(C=1 / RIDGE, tol=1e-10, max_iter=1000)
    plain.fit(standard, labels, sample_weight=weights / weights.sum())

    found = fit_logistic(features, labels, weights, RIDGE).probability(features)
    np.testing.assert_allclose(found, plain.predict_proba(standard)[:, 1], atol=1e-4)


def test_only_the_ratios_of_weights_count(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    features, labels, weights = rows

    heavy = fit_logistic(features, labels, 1000 * weights).probability(features)
    assert heavy == pytest.approx(fit_logistic(features, labels, weights).probability(features), abs=1e-6)


def test_rows_without_weight_teach_nothing(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    features, labels, weights = rows
    weights[200:] = 0
    spoilt = features.copy()
    spoilt[200:] = 1e6

    first, second = fit_logistic(features, labels, weights), fit_logistic(spoilt, labels, weights)
    assert first.probability(features).tolist() == second.probability(features).tolist()


def test_a_feature_that_never_varies_has_no_say(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    features, labels, weights = rows
    features[:, 2] = 7.0
    model = fit_logistic(features, labels, weights)
    before = model.probability(features)
    features[:, 2] = 8.0

    assert model.probability(features) == pytest.approx(before)


@pytest.mark.parametrize("labels", [np.zeros(20, dtype=bool), np.ones(20, dtype=bool), np.arange(20) >= 10])
def test_one_class_or_two_that_are_wholly_apart_give_a_finite_model(labels: np.ndarray) -> None:
    features = np.arange(20.0)[:, None]
    p = fit_logistic(features, labels, np.ones(20)).probability(features)

    assert np.isfinite(p).all()
    assert ((p > 0.5) == labels).all()
