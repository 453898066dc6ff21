"""What every metric takes: one record per scored span, as parallel arrays, checked once.

`p` float64[n] is a probability (or any score, where only the order counts), `y` [n] is 1 for an edited span and 0
otherwise, `weights` float64[n] says how much each record counts. Only ratios of weights matter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk_lsp.errors import BadInput

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Records(NamedTuple):
    """Checked arrays of one length n >= 1: scores, labels (0.0 or 1.0) and weights (not negative, sum above zero)."""

    p: FloatArray
    y: FloatArray
    weights: FloatArray


def check_records(p: ArrayLike, y: ArrayLike, weights: ArrayLike | None, *, probabilities: bool = True) -> Records:
    """The arrays as float64, or BadInput that names the one that is wrong.

    With `probabilities` the scores must lie in [0, 1]. Without weights every record counts the same.
    """
    scores = np.asarray(p, dtype=np.float64)
    labels = np.asarray(y, dtype=np.float64)
    mass = np.ones(scores.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    if scores.ndim != 1 or labels.shape != scores.shape or mass.shape != scores.shape:
        raise BadInput(
            f"scores {scores.shape}, labels {labels.shape} and weights {mass.shape} do not match",
            "give one-dimensional arrays of one length",
        )
    if scores.size == 0:
        raise BadInput("there are no records to measure", "check what was filtered out before")
    if not np.isfinite(scores).all():
        raise BadInput("some scores are not finite", "leave out spans without a score, such as blank lines")
    if probabilities and (scores.min() < 0.0 or scores.max() > 1.0):
        raise BadInput(f"scores from {scores.min():g} to {scores.max():g} are not probabilities", "scale them to 0..1")
    if not np.isin(labels, (0.0, 1.0)).all():
        raise BadInput("some labels are neither 0 nor 1", "a span is edited or it is not")
    if not np.isfinite(mass).all() or mass.min() < 0.0 or mass.sum() <= 0.0:
        raise BadInput("weights must be finite, not negative, and not all zero")
    return Records(scores, labels, mass)


def group_ids(groups: ArrayLike, n: int) -> tuple[IntArray, int]:
    """Each record's group as an integer from 0, and the number of groups."""
    names = np.asarray(groups)
    if names.shape != (n,):
        raise BadInput(f"groups {names.shape} do not match {n} records", "give each record's group")
    distinct, ids = np.unique(names, return_inverse=True)
    return ids.astype(np.int64), len(distinct)


def total(ids: IntArray, values: FloatArray, count: int) -> FloatArray:
    """Sum of `values` [n] per id, float64[count]."""
    return np.bincount(ids, values, count).astype(np.float64)
