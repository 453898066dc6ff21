"""Logistic regression: the same as scikit-learn's, with weights and a penalty."""

from __future__ import annotations

import numpy as np
import pytest

from risk_lsp.lab.evaluation.baselines import fit_logistic

ROWS, FEATURES, RIDGE = 500, 4, 0.01


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(2)
    features = random.normal(size=(ROWS, FEATURES)) * [1, 5, 0.1, 1] + [0, 10, 0, 0]
    labels = random.random(ROWS) < 1 / (1 + np.exp(-(features[:, 0] + 0.2 * (features[:, 1] - 10) - 0.5)))
    return features, labels, random.random(ROWS) + 0.1


def test_it_finds_what_scikit_learn_finds(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    features, labels, weights = rows
    weights = weights / weights.sum()
    mean = weights @ features
    scale = np.sqrt(weights @ (features - mean) ** 2)
    theirs = linear_model.LogisticRegression(C=1 / RIDGE, tol=1e-10, max_iter=1000)
    theirs.fit((features - mean) / scale, labels, sample_weight=weights)

    ours = fit_logistic(features, labels, weights, RIDGE)
    expected = theirs.predict_proba((features - mean) / scale)[:, 1]
    np.testing.assert_allclose(ours.probability(features), expected, atol=1e-4)


def test_rows_without_weight_teach_nothing(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    features, labels, weights = rows
    weights[200:] = 0
    spoilt = features.copy()
    spoilt[200:] = 1e6

    first, second = fit_logistic(features, labels, weights), fit_logistic(spoilt, labels, weights)
    assert first.coefficients.tolist() == second.coefficients.tolist()


def test_a_feature_that_never_varies_has_no_say(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    features, labels, weights = rows
    features[:, 2] = 7.0
    model = fit_logistic(features, labels, weights)
    features[:, 2] = 8.0

    assert np.isfinite(model.probability(features)).all()
    assert model.coefficients[2] == 0


@pytest.mark.parametrize("labels", [np.zeros(20, dtype=bool), np.ones(20, dtype=bool), np.arange(20) >= 10])
def test_one_class_or_two_that_are_wholly_apart_give_a_finite_model(labels: np.ndarray) -> None:
    features = np.arange(20.0)[:, None]
    p = fit_logistic(features, labels, np.ones(20)).probability(features)

    assert np.isfinite(p).all()
    assert ((p > 0.5) == labels).all()
