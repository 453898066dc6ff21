"""Fits the one monotone map from sums of hazards to probabilities, on problems that the probe never saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from risk_lsp.errors import BadInput, RiskError
from risk_lsp.lab.training.feature_store import FeatureStore, WeightedPrograms
from risk_lsp.lab.training.fit_probe import runs_of
from risk_lsp.lab.training.heads import FittedHead
from risk_lsp.probe.calibration import Calibration
from risk_lsp.probe.token_hazards import OFF_LINE

# The line is what people are shown; tokens and whole programs keep the map honest at both ends.
_LEVEL_SHARES = {"token": 0.2, "line": 0.6, "program": 0.2}
_TINY = 1e-12
_TOKENS_AT_ONCE = 65_536


@dataclass(frozen=True)
class _Level:
    """What spans of one size are made of: hazards, the total of the part that each is in, and the span of each.

    `labels` and `weights` are of the spans.
    """

    hazards: NDArray[np.float64]
    totals: NDArray[np.float64]
    spans: NDArray[np.int64]
    labels: NDArray[np.bool_]
    weights: NDArray[np.float64]


def fit_calibration(hazards: NDArray[np.float64], data: WeightedPrograms) -> Calibration:
    """The map of least log-loss over tokens, lines and programs together; `hazards` float64[tokens of the store].

    Raises BadInput without both outcomes among the programs, for then there is nothing to calibrate to.
    """
    weights = data.weights * data.store.has_tokens
    if not 0 < data.store.program_edited[weights > 0].sum() < (weights > 0).sum():
        raise BadInput("the calibration problems hold only one outcome", "give more problems, failing and passing ones")
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise RiskError("calibration needs scipy", "pip install 'risk-lsp[train]'") from error
    levels = _levels(hazards, data)

    def objective(parameters: NDArray[np.float64]) -> float:
        calibration, loss = _calibration(parameters), 0.0
        for name, share in _LEVEL_SHARES.items():
            level = levels[name]
            hazards = _sums(level.hazards * calibration.factor(level.totals), level.spans, len(level.labels))
            p = np.clip(calibration.probability(hazards), _TINY, 1 - _TINY)
            losses = np.where(level.labels, -np.log(p), -np.log1p(-p))
            loss += share * float(np.average(losses, weights=level.weights))
        return loss

    # From zero the method's own first steps would be tiny; a step of half is a factor of 1.6 in each parameter.
    first = np.concatenate([np.zeros((1, 4)), 0.5 * np.eye(4)])
    options = {"xatol": 1e-4, "fatol": 1e-8, "maxiter": 2000, "initial_simplex": first}
    found = minimize(objective, first[0], method="Nelder-Mead", options=options)
    return _calibration(found.x)


def token_values(
    head: FittedHead, store: FeatureStore, columns: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """What the head gives for every token of the store: hazards float64[tokens], or float64[tokens, hidden]."""
    parts: list[NDArray[np.float32]] = []
    bounds, first = store.token_bounds, 0
    with torch.inference_mode():
        while first < len(bounds) - 1:
            # Programs of some tens of thousands of tokens together, or one program that has more.
            last = int(np.searchsorted(bounds, bounds[first] + _TOKENS_AT_ONCE, side="right")) - 1
            part = store.select(np.arange(first, max(last, first + 1)), columns)
            parts.append(head(torch.from_numpy(part.features.astype(np.float32)), runs_of(part)).numpy())
            first = max(last, first + 1)
    return np.concatenate(parts).astype(np.float64)


def _calibration(parameters: NDArray[np.float64]) -> Calibration:
    """Logarithms keep all three positive; bounds keep a strange fit finite."""
    theta, scale, power, document = np.exp(np.clip(parameters, -7, 5)).tolist()
    return Calibration(theta, scale, power, document)


def _levels(hazards: NDArray[np.float64], data: WeightedPrograms) -> dict[str, _Level]:
    store = data.store
    on_line = store.token_line != OFF_LINE
    by_line = _sums(hazards[on_line], store.token_line[on_line], len(store.line_edited))
    by_part = _sums(hazards, store.token_part, len(store.part_program))
    tokens, lines = np.arange(len(hazards)), np.arange(len(by_line))
    programs = data.weights * store.has_tokens
    return {
        "token": _level(hazards, by_part[store.token_part], tokens, store.token_edited, data.token_weights),
        "line": _level(by_line, by_part[store.line_part], lines, store.line_edited, data.line_weights),
        "program": _level(by_part, by_part, store.part_program, store.program_edited, programs),
    }


def scaled_by_text(hazards: NDArray[np.float64], store: FeatureStore, calibration: Calibration) -> NDArray[np.float64]:
    """The hazards of all tokens with the factor of the part that each is in, float64[tokens]."""
    totals = _sums(hazards, store.token_part, len(store.part_program))
    return hazards * calibration.factor(totals)[store.token_part]


def _sums(hazards: NDArray[np.float64], owner: NDArray[np.int64], owners: int) -> NDArray[np.float64]:
    return np.bincount(owner, hazards, owners).astype(np.float64)


def _level(
    hazards: NDArray[np.float64],
    totals: NDArray[np.float64],
    spans: NDArray[np.int64],
    labels: NDArray[np.bool_],
    weights: NDArray[np.float64],
) -> _Level:
    """The spans of one level that weigh something."""
    used = weights > 0
    kept = used[spans]
    return _Level(hazards[kept], totals[kept], (np.cumsum(used) - 1)[spans[kept]], labels[used], weights[used])
