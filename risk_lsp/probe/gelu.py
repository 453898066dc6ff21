"""The activation function of all probes, in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def gelu(values: Floats) -> Floats:
    """x times the normal distribution function of x (Hendrycks and Gimpel, arXiv 1606.08415)."""
    found: Floats = np.float32(0.5) * values * (np.float32(1) + _erf(values * np.float32(0.5**0.5)))
    return found


def _erf(values: Floats) -> Floats:
    """The error function to 1.5e-7, which numpy lacks: Abramowitz and Stegun, 7.1.26."""
    t = np.float32(1) / (np.float32(1) + np.float32(0.3275911) * np.abs(values))
    polynomial = np.zeros_like(values)
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        polynomial = (polynomial + np.float32(coefficient)) * t
    erf: Floats = np.copysign(np.float32(1) - polynomial * np.exp(-np.square(values)), values)
    return erf
