"""Confidence intervals by resampling whole problems: lines of one problem are no independent evidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from risk_lsp.errors import BadInput
from risk_lsp.evaluation.records import FloatArray, group_ids


class Interval(NamedTuple):
    """An estimate from all records, and the ends of its confidence interval."""

    estimate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_interval(
    statistic: Callable[[FloatArray], float],
    clusters: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of `statistic`, resampling clusters with replacement; the same seed gives the same interval.

    `statistic` takes weights float64[n] and returns a number. A cluster (problem) that is drawn m times has the
    `weights` of its records (1 by default) multiplied by m, so no record is ever copied and groups stay whole. A
    difference of two techniques is one statistic: that pairs them. Resamples that leave the statistic undefined (NaN)
    are left out. Efron and Tibshirani, An introduction to the bootstrap (1993), chapter 13.
    """
    names = np.asarray(clusters)
    ids, count = group_ids(names, len(names))
    if count < 2:
        raise BadInput(f"{count} cluster cannot be resampled", "an interval needs at least two problems")
    if resamples < 1 or not 0.0 < level < 1.0:
        raise BadInput(f"{resamples} resamples at level {level:g} give no interval", "use 1000 and 0.95")
    base = np.ones(len(ids)) if weights is None else np.asarray(weights, dtype=np.float64)
    generator = np.random.default_rng(seed)
    values = np.empty(resamples)
    for index in range(resamples):
        drawn = np.bincount(generator.integers(count, size=count), minlength=count)
        values[index] = statistic(base * drawn[ids])
    defined = values[~np.isnan(values)]
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(defined, (tail, 1.0 - tail)) if defined.size else (np.nan, np.nan)
    return Interval(float(statistic(base)), float(low), float(high))
