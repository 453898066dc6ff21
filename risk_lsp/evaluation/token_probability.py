"""The black-box rival: how improbable the model that reads a span finds its tokens."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from risk_lsp.evaluation.records import FloatArray


def improbability(
    starts: ArrayLike, ends: ArrayLike, token_starts: ArrayLike, token_ends: ArrayLike, log_probabilities: ArrayLike
) -> FloatArray:
    """1 minus the geometric mean of the probabilities of the tokens that overlap each span, float64[spans].

    `log_probabilities` are in nats, one per token; a span without tokens scores 0 (arXiv 2512.24560).
    """
    sums = np.concatenate(([0.0], np.cumsum(np.asarray(log_probabilities, dtype=np.float64))))
    first = np.searchsorted(np.asarray(token_ends), np.asarray(starts), side="right")
    last = np.maximum(np.searchsorted(np.asarray(token_starts), np.asarray(ends), side="left"), first)
    # A log-probability is never above 0, but sums of many differ by rounding.
    mean = np.minimum(sums[last] - sums[first], 0.0) / np.maximum(last - first, 1)
    return np.asarray(1.0 - np.exp(mean), dtype=np.float64)
