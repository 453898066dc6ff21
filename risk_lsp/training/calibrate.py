"""Fitting of the one monotone map that turns sums of hazards into probabilities, on problems the probe never saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from risk_lsp.errors import BadInput, RiskError
from risk_lsp.probe.calibration import Calibration
from risk_lsp.probe.heads import HazardHead
from risk_lsp.training.feature_store import FeatureStore

# The line is what people are shown; tokens and whole programs keep the map honest at both ends.
_LEVEL_SHARES = {"token": 0.2, "line": 0.6, "program": 0.2}
_TINY = 1e-12


@dataclass(frozen=True)
class _Level:
    hazards: NDArray[np.float64]
    labels: NDArray[np.bool_]
    weights: NDArray[np.float64]


def fit_calibration(
    head: HazardHead, store: FeatureStore, weights: NDArray[np.float64], columns: NDArray[np.int64] | None = None
) -> Calibration:
    """Theta, scale and power of least log-loss over tokens, lines and programs; `weights` float64[programs].

    Raises BadInput without both outcomes among the programs, for then there is nothing to calibrate to.
    """
    weights = weights * store.has_tokens
    if not 0 < store.program_edited[weights > 0].sum() < (weights > 0).sum():
        raise BadInput("the calibration problems hold only one outcome", "give more problems, failing and passing ones")
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise RiskError("calibration needs scipy", "pip install 'risk-lsp[train]'") from error
    levels = _levels(head, store, weights, columns)

    def objective(parameters: NDArray[np.float64]) -> float:
        calibration = _calibration(parameters)
        return sum(share * _log_loss(levels[name], calibration) for name, share in _LEVEL_SHARES.items())

    found = minimize(objective, np.array([0.0, 0.0, 0.0]), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-8})
    return _calibration(found.x)


def token_hazards(
    head: HazardHead, store: FeatureStore, columns: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """The hazard of every token of the store, float64[tokens]."""
    features = store.features if columns is None else store.features[:, columns]
    with torch.inference_mode():
        parts = [
            head(torch.from_numpy(features[first : first + 65_536]).float()).numpy()
            for first in range(0, len(features), 65_536)
        ]
    return np.concatenate(parts).astype(np.float64)


def _calibration(parameters: NDArray[np.float64]) -> Calibration:
    """Logarithms keep all three positive; bounds keep a strange fit finite."""
    theta, scale, power = np.exp(np.clip(parameters, -7, 5))
    return Calibration(float(theta), float(scale), float(power))


def _levels(
    head: HazardHead, store: FeatureStore, weights: NDArray[np.float64], columns: NDArray[np.int64] | None
) -> dict[str, _Level]:
    hazards = token_hazards(head, store, columns)
    programs = len(store.program_edited)
    by_line = np.bincount(store.token_line, hazards, len(store.line_edited)).astype(np.float64)
    by_program = np.bincount(store.token_program, hazards, programs).astype(np.float64)
    line_weights = weights[store.line_program] * store.line_scored
    return {
        "token": _Level(hazards, store.token_edited, line_weights[store.token_line]),
        "line": _Level(by_line, store.line_edited, line_weights),
        "program": _Level(by_program, store.program_edited, weights),
    }


def _log_loss(level: _Level, calibration: Calibration) -> float:
    p = np.clip(calibration.probability(level.hazards), _TINY, 1 - _TINY)
    losses = np.where(level.labels, -np.log(p), -np.log1p(-p))
    return float(np.average(losses, weights=level.weights))
