"""A fitted probe at work: numpy alone, so that nothing waits for torch to be imported. Fitting is done by heads.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from risk_lsp.probe.context_reading import context_shapes, with_context, with_lines
from risk_lsp.probe.gelu import gelu
from risk_lsp.probe.layout import Layout

Architecture = Literal["hazard", "context", "lines", "max_pool"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)

# How many descriptions of a token its hazard is made of, where there is more than its own.
_READ: dict[Architecture, int] = {"context": 2, "lines": 3}

Floats = NDArray[np.float32]


def uses_layout(architecture: Architecture) -> bool:
    """Whether such a probe reads the layout of the tokens, as its first features, and their lines."""
    return architecture == "lines"


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
    if architecture == "max_pool":
        return shapes
    around = context_shapes(hidden, _READ[architecture]) if architecture in _READ else {}
    return {**shapes, "log_theta": (), **around}


class ProbeReader:
    """What the heads compute in evaluation mode, from the same tensors."""

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

    def values(self, standardised: Floats, layout: Layout | None = None) -> Floats:
        """Standardised features float32[n, features] of one text -> hazards float32[n], or encoded ones [n, hidden].

        `layout` is that of its tokens, which the probe that reads lines needs.
        """
        weight, bias = self._tensors["encoder.project.weight"], self._tensors["encoder.project.bias"]
        encoded = gelu(standardised @ weight.T + bias)
        if self.architecture == "max_pool":
            return encoded
        if self.architecture == "context":
            encoded = with_context(self._tensors, encoded)
        elif layout is not None and uses_layout(self.architecture):
            encoded = with_lines(self._tensors, encoded, layout)
        hazards: Floats = np.logaddexp(np.float32(0), encoded @ self.weights + np.float32(self.bias))  # softplus
        return hazards
