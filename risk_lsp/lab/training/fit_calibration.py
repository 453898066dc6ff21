"""Fits the map from sums of hazards to probabilities, and what texts count as familiar, on problems never seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from risk_lsp.errors import BadInput, RiskError
from risk_lsp.lab.training.feature_store import FeatureStore, WeightedPrograms
from risk_lsp.lab.training.fit_probe import runs_of
from risk_lsp.lab.training.heads import FittedHead, HazardEnsemble, HazardProbe, tensors_of
from risk_lsp.probe.calibration import Calibration, Familiarity
from risk_lsp.probe.token_hazards import LAYOUT, OFF_LINE, uses_layout

# The line is what people are shown; tokens and whole programs keep the map honest at both ends.
_LEVEL_SHARES = {"token": 0.2, "line": 0.6, "program": 0.2}
_TINY = 1e-12
_TOKENS_AT_ONCE = 65_536


@dataclass(frozen=True)
class _Level:
    """What spans of one size are made of: hazards, the total and belief of the part that each is in, the span of each.

    `labels` and `weights` are of the spans.
    """

    hazards: NDArray[np.float64]
    totals: NDArray[np.float64]
    belief: NDArray[np.float64]
    spans: NDArray[np.int64]
    labels: NDArray[np.bool_]
    weights: NDArray[np.float64]


def fit_calibration(
    hazards: NDArray[np.float64], data: WeightedPrograms, belief: NDArray[np.float64] | None = None
) -> Calibration:
    """The map of least log-loss over tokens, lines and programs together; `hazards` float64[tokens of the store].

    `belief` float64[parts of the store]: how far the level of each part counts, in full by default. Raises BadInput
    without both outcomes among the programs, for then there is nothing to calibrate to.
    """
    weights = data.weights * data.store.has_tokens
    if not 0 < data.store.program_edited[weights > 0].sum() < (weights > 0).sum():
        raise BadInput("the calibration problems hold only one outcome", "give more problems, failing and passing ones")
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise RiskError("calibration needs scipy", "pip install 'risk-lsp[train]'") from error
    levels = _levels(hazards, data, np.ones(len(data.store.part_program)) if belief is None else belief)

    def objective(parameters: NDArray[np.float64]) -> float:
        calibration, loss = _calibration(parameters), 0.0
        for name, share in _LEVEL_SHARES.items():
            level = levels[name]
            hazards = _sums(
                level.hazards * calibration.factor(level.totals, level.belief), level.spans, len(level.labels)
            )
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
    with torch.inference_mode():
        parts = [
            head(torch.from_numpy(part.features.astype(np.float32)), runs_of(part)).numpy()
            for part in _in_pieces(store, columns)
        ]
    return np.concatenate(parts).astype(np.float64)


_COMPONENTS = 64
_RIDGE = 0.1  # of the mean variance, added to each: directions in which the texts hardly differ are not trusted


def fit_familiarity(
    head: HazardProbe, learnt: FeatureStore, calibrating: FeatureStore, columns: NDArray[np.int64] | None = None
) -> Familiarity:
    """What texts a probe learnt from, and how far those that it is calibrated by are from them; see Familiarity."""
    known = _part_means(head, learnt, columns)
    mean, scale = known.mean(axis=0), known.std(axis=0) + 1e-3
    covariance = np.cov(((known - mean) / scale).T).reshape(len(mean), len(mean))
    variances, vectors = np.linalg.eigh(covariance)
    kept = min(_COMPONENTS, len(mean))
    ridge = _RIDGE * float(variances.mean())
    beside = float(variances[:-kept].mean()) if kept < len(mean) else 0.0
    arrays = (mean, scale, vectors[:, -kept:].T, variances[-kept:] + ridge, np.array([beside + ridge]), np.zeros(101))
    unsure = Familiarity(*(array.astype(np.float32) for array in arrays))
    distances = unsure.distances(_part_means(head, calibrating, columns))
    return replace(unsure, quantiles=np.quantile(distances, np.linspace(0.0, 1.0, 101)).astype(np.float32))


def part_belief(
    familiarity: Familiarity, head: HazardProbe, store: FeatureStore, columns: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """How far the level of each part of a store is believed, float64[parts]; one without tokens has 1."""
    found = np.ones(len(store.part_program))
    found[np.unique(store.token_part)] = familiarity.belief(_part_means(head, store, columns))
    return found


def _part_means(head: HazardProbe, store: FeatureStore, columns: NDArray[np.int64] | None) -> NDArray[np.float32]:
    """The mean standardised features, without layout, of the parts that have tokens, float32[such parts, features]."""
    tensors = tensors_of(head)
    prefix = "members.0." if isinstance(head, HazardEnsemble) else ""
    mean, scale = (tensors[f"{prefix}encoder.{name}"] for name in ("mean", "scale"))
    first = LAYOUT if uses_layout(head.architecture) else 0
    found: list[NDArray[np.float32]] = []
    for part in _in_pieces(store, columns):
        standardised = np.clip((part.features.astype(np.float32) - mean) / scale, -8.0, 8.0)[:, first:]
        _, starts, counts = np.unique(part.token_part, return_index=True, return_counts=True)
        means = np.add.reduceat(standardised, starts, axis=0) / counts[:, None]
        found.append(means.astype(np.float32))
    return np.concatenate(found)


def _in_pieces(store: FeatureStore, columns: NDArray[np.int64] | None) -> Iterator[FeatureStore]:
    """Programs of some tens of thousands of tokens together, or one program that has more; none without a token."""
    bounds, first = store.token_bounds, 0
    while first < len(bounds) - 1:
        last = int(np.searchsorted(bounds, bounds[first] + _TOKENS_AT_ONCE, side="right")) - 1
        last = max(last, first + 1)
        if bounds[last] > bounds[first]:
            yield store.select(np.arange(first, last), columns)
        first = last


def _calibration(parameters: NDArray[np.float64]) -> Calibration:
    """Logarithms keep all three positive; bounds keep a strange fit finite."""
    theta, scale, power, document = np.exp(np.clip(parameters, -7, 5)).tolist()
    return Calibration(theta, scale, power, document)


def _levels(hazards: NDArray[np.float64], data: WeightedPrograms, belief: NDArray[np.float64]) -> dict[str, _Level]:
    store = data.store
    on_line = store.token_line != OFF_LINE
    by_line = _sums(hazards[on_line], store.token_line[on_line], len(store.line_edited))
    by_part = _sums(hazards, store.token_part, len(store.part_program))
    tokens, lines, parts = (np.arange(len(values)) for values in (hazards, by_line, by_part))
    programs = data.weights * store.has_tokens
    return {
        "token": _level(hazards, by_part, belief, store.token_part, tokens, store.token_edited, data.token_weights),
        "line": _level(by_line, by_part, belief, store.line_part, lines, store.line_edited, data.line_weights),
        "program": _level(by_part, by_part, belief, parts, store.part_program, store.program_edited, programs),
    }


def scaled_by_text(
    hazards: NDArray[np.float64],
    store: FeatureStore,
    calibration: Calibration,
    belief: NDArray[np.float64] | float = 1.0,
) -> NDArray[np.float64]:
    """The hazards of all tokens with the factor of the part that each is in, float64[tokens].

    `belief` float64[parts of the store], as in fit_calibration.
    """
    totals = _sums(hazards, store.token_part, len(store.part_program))
    return hazards * calibration.factor(totals, belief)[store.token_part]


def _sums(hazards: NDArray[np.float64], owner: NDArray[np.int64], owners: int) -> NDArray[np.float64]:
    return np.bincount(owner, hazards, owners).astype(np.float64)


def _level(
    hazards: NDArray[np.float64],
    totals: NDArray[np.float64],
    belief: NDArray[np.float64],
    parts: NDArray[np.int64],
    spans: NDArray[np.int64],
    labels: NDArray[np.bool_],
    weights: NDArray[np.float64],
) -> _Level:
    """The spans of one level that weigh something; `totals` and `belief` are by part, `parts` gives each hazard's."""
    used = weights > 0
    kept = used[spans]
    owners = parts[kept]
    return _Level(
        hazards[kept], totals[owners], belief[owners], (np.cumsum(used) - 1)[spans[kept]], labels[used], weights[used]
    )
