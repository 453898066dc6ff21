"""What ContextHazardHead computes from token features, in numpy: convolutions over both sides, and a summary."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from risk_lsp.probe.gelu import gelu

KERNEL = 5
DILATIONS = (1, 2, 4)

Floats = NDArray[np.float32]


def context_shapes(hidden: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of the tensors that the reader has beside those of a hazard probe."""
    shapes: dict[str, tuple[int, ...]] = {
        "summary.weight": (hidden, hidden),
        "summary.bias": (hidden,),
        "mix.weight": (hidden, 2 * hidden),
        "mix.bias": (hidden,),
    }
    for number in range(len(DILATIONS)):
        shapes[f"layers.{number}.weight"] = (hidden, hidden, KERNEL)
        shapes[f"layers.{number}.bias"] = (hidden,)
    return shapes


def with_context(tensors: Mapping[str, Floats], token: Floats) -> Floats:
    """Encoded tokens float32[n, hidden] of one text -> what each is in its surroundings, float32[n, hidden]."""
    if not len(token):
        return token
    around = token
    for number, dilation in enumerate(DILATIONS):
        weight, bias = tensors[f"layers.{number}.weight"], tensors[f"layers.{number}.bias"]
        around = around + gelu(_convolved(around, weight, dilation) + bias)
    summary = tensors["summary.weight"] @ token.mean(axis=0) + tensors["summary.bias"]
    mixed: Floats = np.concatenate([token, around + summary], axis=1) @ tensors["mix.weight"].T + tensors["mix.bias"]
    return gelu(mixed)


def _convolved(rows: Floats, weight: Floats, dilation: int) -> Floats:
    """A convolution over rows float32[n, hidden] by weight float32[hidden, hidden, KERNEL], zeros beyond the ends."""
    reach = (KERNEL // 2) * dilation
    padded = np.pad(rows, ((reach, reach), (0, 0)))
    found = np.zeros_like(rows)
    for tap in range(KERNEL):
        found += padded[tap * dilation : tap * dilation + len(rows)] @ weight[:, :, tap].T
    return found
