"""pass@k: the chance that at least one of k samples passes (Chen et al., arXiv 2107.03374, equation 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk_lsp.errors import BadInput


def pass_at_k(samples: ArrayLike, passing: ArrayLike, k: int) -> NDArray[np.float64]:
    """For each problem with `samples` drawn and `passing` among them: 1 - C(n - c, k) / C(n, k), float64[problems].

    Unbiased: the mean over all ways to choose k of the n samples. BadInput if k exceeds some n.
    """
    n, c = np.atleast_1d(np.asarray(samples, dtype=np.int64)), np.atleast_1d(np.asarray(passing, dtype=np.int64))
    if k < 1 or (n < k).any():
        raise BadInput(f"pass@{k} of {n.min(initial=0)} samples", "k must lie between 1 and the number of samples")
    if (c < 0).any() or (c > n).any():
        raise BadInput("more samples pass than there are", "count each sample once")
    # The product of (1 - k / i) for i from n - c + 1 to n, which never overflows.
    estimates = [1.0 - _none_passes(int(total), int(good), k) for total, good in zip(n, c, strict=True)]
    return np.array(estimates)


def _none_passes(total: int, good: int, k: int) -> float:
    if total - good < k:
        return 0.0
    return float(np.prod(1.0 - k / np.arange(total - good + 1, total + 1)))
