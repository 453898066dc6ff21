"""Intervals of statistics that are no means over problems, by resampling whole texts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.lab.evaluation.problem_bootstrap import interval_of

_SEED = 0


def with_interval(count: int, statistic: Callable[[NDArray[np.int64]], Any], resamples: int) -> list[float | None]:
    """[estimate, low, high] (95%) of a statistic of `count` texts, to four digits; None where it is undefined.

    `statistic` takes the indices of texts, of which a resample may hold one several times (Efron and Tibshirani 1993).
    """
    chooser = np.random.default_rng(_SEED)
    drawn = [np.arange(count), *(chooser.integers(0, count, count) for _ in range(resamples))]
    return shortened(np.array([float(statistic(indices)) for indices in drawn]))


def shortened(statistic: NDArray[np.float64]) -> list[float | None]:
    """[estimate, low, high] to four digits of a statistic and its resamples, float64[1 + resamples]."""
    return [None if math.isnan(value) else round(float(value), 4) for value in interval_of(statistic)]
