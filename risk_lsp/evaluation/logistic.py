"""Logistic regression with weights and a ridge penalty, by Newton's method."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.evaluation.records import FloatArray

_STEPS = 50


class LogisticModel(NamedTuple):
    """p = sigmoid((x - mean) / scale @ coefficients + intercept)."""

    mean: FloatArray
    scale: FloatArray
    coefficients: FloatArray
    intercept: float

    def probability(self, features: FloatArray) -> FloatArray:
        """float64[n, features] -> float64[n]."""
        return _sigmoid((features - self.mean) / self.scale @ self.coefficients + self.intercept)


def fit_logistic(
    features: FloatArray, labels: NDArray[np.bool_], weights: FloatArray, ridge: float = 1e-4
) -> LogisticModel:
    """Least weighted mean log-loss + ridge / 2 |coefficients|^2 of standardised features; the intercept is free.

    Features that do not vary get no say. Weights need not sum to anything.
    """
    used = weights > 0
    x, y, w = features[used], labels[used].astype(np.float64), weights[used] / weights[used].sum()
    mean = w @ x
    spread = np.sqrt(w @ (x - mean) ** 2)
    scale = np.where(spread > 1e-9, spread, np.inf)
    design = np.concatenate([(x - mean) / scale, np.ones((len(x), 1))], axis=1)
    penalty = np.append(np.full(x.shape[1], ridge), 0.0)
    parameters = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        fitted = _sigmoid(design @ parameters)
        gradient = design.T @ (w * (fitted - y)) + penalty * parameters
        # The small term keeps a class without a single case from asking for an infinite step.
        curvature = (design * (w * fitted * (1.0 - fitted))[:, None]).T @ design + np.diag(penalty + 1e-9)
        step = np.linalg.solve(curvature, gradient)
        parameters -= np.clip(step, -4.0, 4.0)
        if np.abs(step).max() < 1e-8:
            break
    return LogisticModel(mean, scale, parameters[:-1], float(parameters[-1]))


def _sigmoid(z: FloatArray) -> FloatArray:
    # exp(-log(1 + exp(-z))) overflows for no z.
    return np.asarray(np.exp(-np.logaddexp(0.0, -z)), dtype=np.float64)
