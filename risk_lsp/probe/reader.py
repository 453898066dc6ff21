"""A fitted probe at work: numpy alone, so that nothing waits for torch to be imported. Fitting is done by heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Architecture = Literal["hazard", "max_pool"]
ARCHITECTURES: tuple[Architecture, ...] = ("hazard", "max_pool")

Floats = NDArray[np.float32]


def head_shapes(architecture: Architecture, features: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a probe, as heads.py names them."""
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.mean": (features,),
        "encoder.scale": (features,),
        "encoder.project.weight": (hidden, features),
        "encoder.project.bias": (hidden,),
        "output.weight": (1, hidden),
        "output.bias": (1,),
    }
    return {**shapes, "log_theta": ()} if architecture == "hazard" else shapes


class ProbeReader:
    """What HazardHead and MaxPoolHead compute in evaluation mode, from the same tensors."""

    def __init__(self, architecture: Architecture, tensors: Mapping[str, Floats]) -> None:
        self.architecture = architecture
        self._tensors = tensors

    @property
    def weights(self) -> Floats:
        """Of the output layer: float32[hidden]."""
        return self._tensors["output.weight"].reshape(-1)

    @property
    def bias(self) -> float:
        """Of the output layer."""
        return float(self._tensors["output.bias"][0])

    def standardised(self, features: Floats) -> Floats:
        """The features with the mean and spread they had in training taken out, outliers clipped."""
        standardised = (features - self._tensors["encoder.mean"]) / self._tensors["encoder.scale"]
        return np.clip(standardised, np.float32(-8), np.float32(8), out=standardised)

    def values(self, standardised: Floats) -> Floats:
        """Standardised features float32[n, features] -> hazards float32[n], or encoded features [n, hidden]."""
        weight, bias = self._tensors["encoder.project.weight"], self._tensors["encoder.project.bias"]
        encoded = _gelu(standardised @ weight.T + bias)
        if self.architecture == "max_pool":
            return encoded
        hazards: Floats = np.logaddexp(np.float32(0), encoded @ self.weights + np.float32(self.bias))  # softplus
        return hazards


def _gelu(values: Floats) -> Floats:
    gelu: Floats = np.float32(0.5) * values * (np.float32(1) + _erf(values * np.float32(0.5**0.5)))
    return gelu


def _erf(values: Floats) -> Floats:
    """The error function to 1.5e-7, which numpy lacks: Abramowitz and Stegun, 7.1.26."""
    t = np.float32(1) / (np.float32(1) + np.float32(0.3275911) * np.abs(values))
    polynomial = np.zeros_like(values)
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        polynomial = (polynomial + np.float32(coefficient)) * t
    erf: Floats = np.copysign(np.float32(1) - polynomial * np.exp(-np.square(values)), values)
    return erf
