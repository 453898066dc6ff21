"""Many statistics of many records with intervals, by resampling whole problems.

Lines of one problem are no independent evidence, so problems are drawn and not records (Efron and Tibshirani, An
introduction to the bootstrap (1993), chapter 13). Sums are kept by problem, so a resample only adds them up anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.metrics import (
    FloatArray,
    IntArray,
    ProgramValues,
    adaptive_bins,
    auc,
    check_records,
    equal_width_bins,
    group_ids,
)

# Scores finer than this share a place in resampled rankings; the estimate itself is exact.
_RANKS = 1024
_TEXTS_SEED = 0


class Interval(NamedTuple):
    """An estimate from all records, and the ends of its confidence interval."""

    estimate: float
    low: float
    high: float


class ProblemBootstrap:
    """Resamples of the problems of some records, drawn with replacement; the same seed gives the same ones.

    Every statistic is a float64[1 + resamples]: that of all records first, then that of each resample (NaN where it is
    undefined). Statistics of one bootstrap are paired: their difference is that of the same resamples.
    """

    def __init__(self, groups: NDArray[np.str_], weights: FloatArray, *, resamples: int = 500, seed: int = 0) -> None:
        self._ids, self._count = group_ids(groups, len(groups))
        self._weights = weights
        self.resamples = resamples
        drawn = np.random.default_rng(seed).multinomial(self._count, np.full(self._count, 1 / self._count), resamples)
        self._times = np.concatenate([np.ones((1, self._count)), drawn])

    def brier_skill_score(self, p: ArrayLike, y: ArrayLike) -> FloatArray:
        """As `metrics.brier_skill_score`."""
        records = check_records(p, y, self._weights)
        mass = self._sums(records.weights)
        rate = self._sums(records.weights * records.y) / mass
        brier = self._sums(records.weights * (records.p - records.y) ** 2) / mass
        return _divide(rate * (1.0 - rate) - brier, rate * (1.0 - rate))

    def expected_calibration_error(self, p: ArrayLike, y: ArrayLike, *, bins: int = 10) -> FloatArray:
        """As `metrics.expected_calibration_error`."""
        return self._calibration_error(p, y, lambda scores, _: equal_width_bins(scores, bins), bins)

    def adaptive_calibration_error(self, p: ArrayLike, y: ArrayLike, *, bins: int = 10) -> FloatArray:
        """As `metrics.adaptive_calibration_error`; resamples keep the bins of all records."""
        return self._calibration_error(p, y, lambda scores, weights: adaptive_bins(scores, weights, bins), bins)

    def auc(self, scores: ArrayLike, y: ArrayLike) -> FloatArray:
        """As `metrics.auc`; resamples rank scores by 1,024 quantiles."""
        records = check_records(scores, y, self._weights, probabilities=False)
        # Each score's place in order, 0 to 1,023; equal scores share theirs.
        distinct, places = np.unique(records.p, return_inverse=True)
        if len(distinct) > _RANKS:
            middle = np.cumsum(np.bincount(places)) / len(records.p)
            places = np.minimum((middle * _RANKS).astype(np.int64), _RANKS - 1)[places]
        positive = self._tabulate(records.weights * records.y, places, _RANKS)
        negative = self._tabulate(records.weights * (1.0 - records.y), places, _RANKS)
        below = np.cumsum(negative, axis=1) - negative
        ordered = (positive * (below + negative / 2.0)).sum(axis=1)
        found = _divide(ordered, positive.sum(axis=1) * negative.sum(axis=1))
        found[0] = auc(records.p, records.y, records.weights)
        return found

    def mean_over_programs(self, measured: ProgramValues, groups: NDArray[np.str_]) -> FloatArray:
        """The weighted mean over the programs that have a value; `groups` names the problem of each program."""
        names = np.unique(groups, return_inverse=True)[1]
        usable = ~np.isnan(measured.values)
        weights = np.where(usable, measured.weights, 0.0)
        top = np.bincount(names, weights * np.where(usable, measured.values, 0.0), self._count)
        return _divide(self._times @ top, self._times @ np.bincount(names, weights, self._count))

    def _calibration_error(
        self, p: ArrayLike, y: ArrayLike, binned: Callable[[FloatArray, FloatArray], IntArray], bins: int
    ) -> FloatArray:
        records = check_records(p, y, self._weights)
        places = binned(records.p, records.weights)
        gaps = self._tabulate(records.weights * (records.p - records.y), places, bins)
        return _divide(np.abs(gaps).sum(axis=1), self._sums(records.weights))

    def _sums(self, values: FloatArray) -> FloatArray:
        return np.asarray(self._times @ np.bincount(self._ids, values, self._count), dtype=np.float64)

    def _tabulate(self, values: FloatArray, places: IntArray, count: int) -> FloatArray:
        """Sums of `values` by place, float64[1 + resamples, count]."""
        cells = np.bincount(self._ids * count + places, values, self._count * count)
        return np.asarray(self._times @ cells.reshape(self._count, count), dtype=np.float64)


def interval_of(statistic: FloatArray, level: float = 0.95) -> Interval:
    """The estimate and its percentile interval over the resamples that leave it defined."""
    defined = statistic[1:][~np.isnan(statistic[1:])]
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(defined, (tail, 1.0 - tail)) if defined.size else (np.nan, np.nan)
    return Interval(float(statistic[0]), float(low), float(high))


def with_interval(count: int, statistic: Callable[[IntArray], Any], resamples: int) -> list[float | None]:
    """[estimate, low, high] (95%) of a statistic of `count` texts that is no mean over them, by resampling the texts.

    `statistic` takes the indices of texts, of which a resample may hold one several times. Four digits; None where it
    is undefined.
    """
    chooser = np.random.default_rng(_TEXTS_SEED)
    drawn = [np.arange(count), *(chooser.integers(0, count, count) for _ in range(resamples))]
    return interval_figures(np.array([float(statistic(indices)) for indices in drawn]))


def interval_figures(statistic: FloatArray) -> list[float | None]:
    """[estimate, low, high] of a statistic and its resamples float64[1 + resamples], as `four_digits` gives them."""
    return [four_digits(value) for value in interval_of(statistic)]


def four_digits(value: float) -> float | None:
    """A figure as reports keep it; None for one that the records leave undefined, for JSON has no NaN."""
    return None if math.isnan(value) else round(float(value), 4)


def band(values: FloatArray, resamples: int, generator: np.random.Generator) -> tuple[float, float]:
    """The 2.5% and 97.5% points of the mean when tasks are resampled."""
    chosen = generator.integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[chosen].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


# Cost, rate, and the ends of the rate's band.
RatePoint = tuple[float, float, float, float]


def rate_by_cost(
    first_pass: Sequence[float], at: Sequence[float], *, resamples: int = 1000, seed: int = 0
) -> list[RatePoint]:
    """(cost, share of tasks solved within it, low, high) at each cost of `at`; infinity for a task never solved."""
    firsts = np.asarray(first_pass, dtype=np.float64)
    if not len(firsts):
        raise BadInput("no tasks", "give at least one")
    generator = np.random.default_rng(seed)
    rows = []
    for cost in at:
        solved = (firsts <= cost).astype(np.float64)
        rows.append((float(cost), float(solved.mean()), *band(solved, resamples, generator)))
    return rows


def _divide(top: FloatArray, bottom: FloatArray) -> FloatArray:
    found = np.full(len(top), np.nan)
    np.divide(top, bottom, out=found, where=bottom > 0)
    return found
