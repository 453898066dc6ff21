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


def head_shapes(architecture: Architecture, features: int, hidden: int, members: int = 1) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a probe, or of an ensemble of several, as heads.py names them."""
    one = _member_shapes(architecture, features, hidden)
    if members == 1:
        return one
    return {_prefix(member) + name: shape for member in range(members) for name, shape in one.items()}


def _prefix(member: int) -> str:
    return f"members.{member}."


def _member_shapes(architecture: Architecture, features: int, hidden: int) -> dict[str, tuple[int, ...]]:
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
    """What the heads compute in evaluation mode, from the same tensors.

    Several members are an ensemble of hazard probes, which give the mean of their hazards.
    """

    def __init__(self, architecture: Architecture, tensors: Mapping[str, Floats], members: int = 1) -> None:
        self.architecture = architecture
        self._members = [tensors] if members == 1 else [_of_member(tensors, member) for member in range(members)]
        self._tensors = self._members[0]

    @property
    def weights(self) -> Floats:
        """Of the output layer: float32[hidden]."""
        return self._tensors["output.weight"].reshape(-1)

    @property
    def bias(self) -> float:
        """Of the output layer."""
        return float(self._tensors["output.bias"][0])

    def standardised(self, features: Floats) -> Floats:
        """The features with the mean and spread they had in training (of every member) taken out, outliers clipped."""
        standardised = (features - self._tensors["encoder.mean"]) / self._tensors["encoder.scale"]
        return np.clip(standardised, np.float32(-8), np.float32(8), out=standardised)

    def encoded(self, standardised: Floats) -> Floats:
        """Standardised features float32[n, features] -> float32[n, hidden]: what the max-pool probe compares."""
        return _encoded(self._tensors, standardised)

    def hazards(self, standardised: Floats, layout: Layout) -> Floats:
        """Standardised features float32[n, features] of one text -> hazards float32[n], of the other probes.

        `layout` is that of its tokens; its parts are read each by itself.
        """
        hazards = [self._hazards(tensors, standardised, layout) for tensors in self._members]
        found: Floats = hazards[0] if len(hazards) == 1 else np.mean(hazards, axis=0, dtype=np.float32)
        return found

    def _hazards(self, tensors: Mapping[str, Floats], standardised: Floats, layout: Layout) -> Floats:
        encoded = _encoded(tensors, standardised)
        if self.architecture == "context":
            encoded = with_context(tensors, encoded, layout)
        elif uses_layout(self.architecture):
            encoded = with_lines(tensors, encoded, layout)
        logits = encoded @ tensors["output.weight"].reshape(-1) + tensors["output.bias"][0]
        hazards: Floats = np.logaddexp(np.float32(0), logits)  # softplus
        return hazards


def _of_member(tensors: Mapping[str, Floats], member: int) -> dict[str, Floats]:
    prefix = _prefix(member)
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _encoded(tensors: Mapping[str, Floats], standardised: Floats) -> Floats:
    return gelu(standardised @ tensors["encoder.project.weight"].T + tensors["encoder.project.bias"])
