"""A fitted probe at work: numpy alone, so that nothing waits for torch to be imported. Fitting is the laboratory's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from risk_lsp.model.threads import Threads
from risk_lsp.probe.context_reading import context_shapes, with_lines
from risk_lsp.probe.gelu import gelu
from risk_lsp.probe.layout import Layout

Architecture = Literal["hazard", "lines"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)

Floats = NDArray[np.float32]


def uses_layout(architecture: str) -> bool:
    """Whether such a probe reads the layout of the tokens, as its first features, and their lines."""
    return architecture == "lines"


def head_shapes(architecture: Architecture, features: int, hidden: int, members: int = 1) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a probe, or of an ensemble of several."""
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
        "log_theta": (),
    }
    return {**shapes, **context_shapes(hidden)} if architecture == "lines" else shapes


class ProbeReader:
    """What the heads compute in evaluation mode, from the same tensors.

    Several members are an ensemble of hazard probes, which give the mean of their hazards.
    """

    def __init__(
        self, architecture: Architecture, tensors: Mapping[str, Floats], members: int = 1, threads: int | None = None
    ) -> None:
        self.architecture = architecture
        self.threads = Threads(threads)
        self._members = [tensors] if members == 1 else [_of_member(tensors, member) for member in range(members)]
        self._tensors = self._members[0]
        # One product serves all members.
        self._project = np.concatenate([tensors["encoder.project.weight"] for tensors in self._members])
        self._bias = np.concatenate([tensors["encoder.project.bias"] for tensors in self._members])

    def standardised(self, features: Floats) -> Floats:
        """The features with the mean and spread they had in training (of every member) taken out, outliers clipped."""
        standardised = features - self._tensors["encoder.mean"]
        standardised /= self._tensors["encoder.scale"]
        return np.clip(standardised, np.float32(-8), np.float32(8), out=standardised)

    def hazards(self, standardised: Floats, layout: Layout) -> Floats:
        """Standardised features float32[n, features] of one text -> hazards float32[n].

        `layout` is that of its tokens; its parts are read each by itself.
        """
        encoded = np.split(self._encoded(standardised), len(self._members), axis=1)
        hazards = [self._hazards(*each, layout) for each in zip(self._members, encoded, strict=True)]
        found: Floats = hazards[0] if len(hazards) == 1 else np.mean(hazards, axis=0, dtype=np.float32)
        return found

    def _encoded(self, standardised: Floats) -> Floats:
        """Of all members, side by side: float32[n, members x hidden]."""
        return gelu(standardised @ self._project.T + self._bias)

    def _hazards(self, tensors: Mapping[str, Floats], encoded: Floats, layout: Layout) -> Floats:
        if uses_layout(self.architecture):
            encoded = with_lines(tensors, encoded, layout)
        logits = encoded @ tensors["output.weight"].reshape(-1) + tensors["output.bias"][0]
        hazards: Floats = np.logaddexp(np.float32(0), logits)  # softplus
        return hazards


def _of_member(tensors: Mapping[str, Floats], member: int) -> dict[str, Floats]:
    prefix = _prefix(member)
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
