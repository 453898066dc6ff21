"""Reliability tables (what a probability has meant) and the maps that correct probabilities: Platt and isotonic."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.metrics import FloatArray, Records, check_records, total

# Probabilities are kept this far from 0 and 1 before their logit is taken.
_SMALLEST = 1e-7
_NEWTON_STEPS = 100


class ReliabilityRow(NamedTuple):
    """Records scored in [low, high): their weighted mean probability, weighted share of positives, and number."""

    low: float
    high: float
    predicted: float
    observed: float
    n: int


class PlattScaling(NamedTuple):
    """The map p -> sigmoid(slope * logit(p) + intercept)."""

    slope: float
    intercept: float


class IsotonicMap(NamedTuple):
    """A non-decreasing map through points (thresholds, values), float64[k] each: linear between, flat outside."""

    thresholds: FloatArray
    values: FloatArray


class Rescaled(NamedTuple):
    """The same scores after maps that were fitted to other records, float64[n] each."""

    platt: FloatArray
    isotonic: FloatArray

    def where(self, wanted: NDArray[np.bool_]) -> Rescaled:
        """Only the wanted ones."""
        return Rescaled(self.platt[wanted], self.isotonic[wanted])


def reliability_table(
    p: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None, edges: ArrayLike | None = None
) -> list[ReliabilityRow]:
    """One row per bin that holds weight; bins are [edge, next edge), the last one closed.

    `edges` must rise from 0 to 1; ten equal bins by default.
    """
    records = check_records(p, y, weights)
    bounds = np.arange(11) / 10 if edges is None else np.asarray(edges, dtype=np.float64)
    if bounds.ndim != 1 or len(bounds) < 2 or bounds[0] != 0.0 or bounds[-1] != 1.0 or (np.diff(bounds) <= 0.0).any():
        raise BadInput("the edges of a reliability table must rise from 0 to 1", "for example 0, 0.05, 0.1, 0.5, 1")
    bins = len(bounds) - 1
    bin_of = np.clip(np.searchsorted(bounds, records.p, side="right") - 1, 0, bins - 1)
    count = np.bincount(bin_of[records.weights > 0.0], minlength=bins)
    mass = total(bin_of, records.weights, bins)
    predicted = total(bin_of, records.weights * records.p, bins)
    observed = total(bin_of, records.weights * records.y, bins)
    return [
        ReliabilityRow(
            float(bounds[index]),
            float(bounds[index + 1]),
            float(predicted[index] / mass[index]),
            float(observed[index] / mass[index]),
            int(count[index]),
        )
        for index in np.flatnonzero(mass > 0.0)
    ]


def platt_fit(p: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> PlattScaling:
    """Weighted logistic regression of the labels on logit(p), by Newton's method.

    Targets are Platt's: (N+ + 1) / (N+ + 2) for positives and 1 / (N- + 2) for negatives, N being the number of records
    of a class that carry weight. So the fit stays finite where the classes are separable or one is missing. Where all
    scores are equal the slope is 1.
    Platt, Probabilistic outputs for support vector machines, Advances in Large Margin Classifiers (1999).
    """
    records = check_records(p, y, weights)
    target = _platt_targets(records)
    weight = records.weights / records.weights.sum()
    x = _logit(records.p)
    center = float(np.dot(weight, x))
    spread = float(np.sqrt(np.dot(weight, (x - center) ** 2)))
    rate = float(np.dot(weight, target))
    if spread < 1e-9:
        return PlattScaling(1.0, float(_logit(np.array([rate]))[0]) - center)
    slope, offset = _logistic_fit((x - center) / spread, target, weight)
    return PlattScaling(slope / spread, offset - slope * center / spread)


def platt_apply(p: ArrayLike, scaling: PlattScaling) -> FloatArray:
    """Corrected probabilities float64[n]."""
    return _sigmoid(scaling.slope * _logit(np.asarray(p, dtype=np.float64)) + scaling.intercept)


def isotonic_fit(p: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> IsotonicMap:
    """The non-decreasing map of least weighted squared error, by pooling adjacent violators.

    Records without weight are ignored. Zadrozny and Elkan, KDD 2002; Barlow et al. (1972).
    """
    records = check_records(p, y, weights)
    used = records.weights > 0.0
    points, place = np.unique(records.p[used], return_inverse=True)
    mass = total(place, records.weights[used], len(points))
    means = total(place, records.weights[used] * records.y[used], len(points)) / mass
    starts, values = _pool_adjacent_violators(means, mass)
    ends = np.r_[starts[1:], len(points)] - 1
    # A block is flat from its first to its last point; a block of one point needs only that point.
    index = np.stack([starts, ends], axis=1).ravel()
    keep = np.r_[True, index[1:] != index[:-1]]
    return IsotonicMap(points[index][keep], np.repeat(values, 2)[keep])


def isotonic_apply(p: ArrayLike, mapping: IsotonicMap) -> FloatArray:
    """Corrected probabilities float64[n]."""
    return np.interp(np.asarray(p, dtype=np.float64), mapping.thresholds, mapping.values)


def rescaled(p: ArrayLike, known: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> Rescaled:
    """Scores `p` after the maps that suit the scores `known` with their labels."""
    platt, isotonic = platt_fit(known, y, weights), isotonic_fit(known, y, weights)
    return Rescaled(platt_apply(p, platt), isotonic_apply(p, isotonic))


def _platt_targets(records: Records) -> FloatArray:
    used = records.weights > 0.0
    positives = int(records.y[used].sum())
    negatives = int(used.sum()) - positives
    return np.where(records.y == 1.0, (positives + 1.0) / (positives + 2.0), 1.0 / (negatives + 2.0))


def _logistic_fit(x: FloatArray, target: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """(slope, intercept) of least weighted cross-entropy to soft targets; x is centered and scaled."""
    rate = float(np.dot(weight, target))
    parameters = np.array([0.0, np.log(rate / (1.0 - rate))])
    design = np.stack([x, np.ones_like(x)], axis=1)

    def loss(candidate: FloatArray) -> float:
        z = design @ candidate
        return float(np.dot(weight, np.logaddexp(0.0, z) - target * z))

    current = loss(parameters)
    for _ in range(_NEWTON_STEPS):
        fitted = _sigmoid(design @ parameters)
        gradient = design.T @ (weight * (fitted - target))
        curvature = (design * (weight * fitted * (1.0 - fitted))[:, None]).T @ design
        step = np.linalg.lstsq(curvature, gradient, rcond=None)[0]
        # Far from the optimum a full Newton step can overshoot; the loss is convex, so a shorter one always helps.
        scale = 1.0
        while scale > 1e-6 and loss(parameters - scale * step) > current:
            scale /= 2.0
        parameters = parameters - scale * step
        current = loss(parameters)
        if np.abs(scale * step).max() < 1e-10:
            break
    return float(parameters[0]), float(parameters[1])


def _pool_adjacent_violators(means: FloatArray, mass: FloatArray) -> tuple[np.ndarray, FloatArray]:
    """Start index and value of each block of the non-decreasing fit."""
    starts: list[int] = []
    values: list[float] = []
    masses: list[float] = []
    for index, (value, weight) in enumerate(zip(means.tolist(), mass.tolist(), strict=True)):
        start = index
        while values and values[-1] >= value:
            earlier = masses.pop()
            value = (values.pop() * earlier + value * weight) / (earlier + weight)
            weight += earlier
            start = starts.pop()
        starts.append(start)
        values.append(value)
        masses.append(weight)
    return np.array(starts, dtype=np.int64), np.array(values)


def _logit(p: FloatArray) -> FloatArray:
    clipped = np.clip(p, _SMALLEST, 1.0 - _SMALLEST)
    return np.log(clipped) - np.log1p(-clipped)


def _sigmoid(z: FloatArray) -> FloatArray:
    # exp(-log(1 + exp(-z))) overflows for no z.
    return np.exp(-np.logaddexp(0.0, -z))
