"""How strongly a heat map shows a line, decided once for every place that has one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STEPS = 4
_NEVER_WARM = 0.01  # a line below this has no place in a heat map, whatever the threshold


def heat_edges(threshold: float) -> NDArray[np.float64]:
    """Where the steps 1 to 4 begin: at half the threshold, at it, and then in equal parts between it and certainty."""
    part = (1 - threshold) / 3
    return np.maximum([threshold / 2, threshold, threshold + part, threshold + 2 * part], _NEVER_WARM)


def heat_steps(probabilities: NDArray[np.float64], threshold: float) -> tuple[int, ...]:
    """The step of each line, 0 (not shown) to 4; a line without a probability (NaN) is not shown."""
    steps = np.searchsorted(heat_edges(threshold), probabilities, side="right")
    return tuple(np.where(np.isnan(probabilities), 0, steps).tolist())
