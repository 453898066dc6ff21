"""Fits the map from sums of hazards to probabilities, and what texts count as familiar, on problems never seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from risk_lsp.errors import BadInput, RiskError
from risk_lsp.lab.training.feature_store import FeatureStore, WeightedPrograms
from risk_lsp.lab.training.fit_probe import runs_of
from risk_lsp.lab.training.heads import FittedHead, HazardEnsemble, HazardProbe, tensors_of
from risk_lsp.probe.calibration import Calibration, Familiarity
from risk_lsp.probe.layout import LAYOUT, OFF_LINE, weigh_lines
from risk_lsp.probe.token_hazards import uses_layout

# The line is what people are shown; tokens and whole programs keep the map honest at both ends.
_LEVEL_SHARES = {"token": 0.2, "line": 0.6, "program": 0.2}
_TINY = 1e-12
_TOKENS_AT_ONCE = 65_536


def fit_calibration(
    hazards: NDArray[np.float64],
    data: WeightedPrograms,
    belief: NDArray[np.float64] | None = None,
    looks: NDArray[np.float64] | None = None,
) -> tuple[Calibration, float]:
    """The map of least log-loss over tokens, lines and programs together, and how much the looks of a line count.

    `hazards` float64[tokens of the store]. `belief` float64[parts of the store]: how far the level of each part counts,
    in full by default. `looks` float64[lines of the store]: the logarithm of a factor of each line's hazards, which is
    multiplied by the number that is returned (0 without looks). Raises BadInput without both outcomes among the
    programs, for then there is nothing to calibrate to.
    """
    weights = data.weights * data.store.has_tokens
    if not 0 < data.store.program_edited[weights > 0].sum() < (weights > 0).sum():
        raise BadInput("the calibration problems hold only one outcome", "give more problems, failing and passing ones")
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise RiskError("calibration needs scipy", "pip install 'risk-lsp[train]'") from error
    used = np.flatnonzero(weights > 0)
    store = replace(data.store, features=data.store.features[:, :0]).select(used)  # features can be gigabytes
    chosen = np.zeros(len(weights), dtype=np.bool_)
    chosen[used] = True
    kept = WeightedPrograms(store, weights[used], data.span_weights[used])
    hazards = hazards[chosen[data.store.token_program]]
    believed = 1.0 if belief is None else belief[chosen[data.store.part_program]]
    log_factor = None if looks is None else looks[chosen[data.store.line_program]]
    levels = {
        "token": (store.token_edited, kept.token_weights),
        "line": (store.line_edited, kept.line_weights),
        "program": (store.program_edited, kept.weights),
    }

    def objective(parameters: NDArray[np.float64]) -> float:
        calibration, strength = _unpack(parameters)
        weighed = (
            hazards
            if log_factor is None
            else weigh_lines(hazards, store.token_line, store.line_part, strength * log_factor)
        )
        scaled = scaled_by_text(weighed, store, calibration, believed)
        on_line = store.token_line != OFF_LINE
        sums = {
            "token": scaled,
            "line": _sums(scaled[on_line], store.token_line[on_line], len(store.line_edited)),
            "program": _sums(scaled, store.token_program, len(store.program_edited)),
        }
        loss = 0.0
        for name, share in _LEVEL_SHARES.items():
            edited, weight = levels[name]
            p = np.clip(calibration.probability(sums[name]), _TINY, 1 - _TINY)
            loss += share * float(np.average(np.where(edited, -np.log(p), -np.log1p(-p)), weights=weight))
        return loss

    # From zero the method's own first steps would be tiny; a step of half is a factor of 1.6 in each parameter.
    count = 4 if looks is None else 5
    first = np.concatenate([np.zeros((1, count)), 0.5 * np.eye(count)])
    options = {"xatol": 1e-4, "fatol": 1e-8, "maxiter": 2000, "initial_simplex": first}
    found = minimize(objective, first[0], method="Nelder-Mead", options=options)
    return _unpack(found.x)


def fit_looks(data: WeightedPrograms) -> NDArray[np.float64]:
    """How much each of the looks of a line speaks for an edit, float64[LOOKS]: a logistic regression on all lines."""
    store, weights = data.store, data.line_weights
    used = weights > 0
    rows = store.line_looks[used].astype(np.float64)
    spread = rows.std(axis=0)
    scale = np.where(spread > _TINY, spread, np.inf)  # one that does not vary gets no say
    regression = LogisticRegression(C=1e4, solver="newton-cholesky")
    regression.fit((rows - rows.mean(axis=0)) / scale, store.line_edited[used], weights[used] / weights[used].sum())
    return np.asarray(regression.coef_[0] / scale, dtype=np.float64)


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


def _unpack(parameters: NDArray[np.float64]) -> tuple[Calibration, float]:
    """Logarithms keep the parameters of the map positive; bounds keep a strange fit finite."""
    theta, scale, power, document = np.exp(np.clip(parameters[:4], -7, 5)).tolist()
    return Calibration(theta, scale, power, document), float(parameters[4]) if len(parameters) > 4 else 0.0


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
