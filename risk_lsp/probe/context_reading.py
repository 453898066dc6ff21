"""What the heads that look around compute from token features, in numpy: convolutions, and a summary of the text."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from risk_lsp.probe.gelu import gelu
from risk_lsp.probe.layout import OFF_LINE, Layout

KERNEL = 5
DILATIONS = (1, 2, 4)

Floats = NDArray[np.float32]


def context_shapes(hidden: int, read: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of the tensors that such a reader has beside those of a hazard probe.

    `read` is how many descriptions of a token its hazard is made of.
    """
    shapes: dict[str, tuple[int, ...]] = {
        "summary.weight": (hidden, hidden),
        "summary.bias": (hidden,),
        "mix.weight": (hidden, read * hidden),
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
    return _mixed(tensors, [token, _with_neighbours(tensors, token) + _summary(tensors, token)])


def with_lines(tensors: Mapping[str, Floats], token: Floats, layout: Layout) -> Floats:
    """Encoded tokens float32[n, hidden] of one text -> what each is in its line among lines, float32[n, hidden]."""
    if not len(token):
        return token
    on_line = layout.line != OFF_LINE
    line = layout.line[on_line]
    sums = np.zeros((layout.line_count, token.shape[1]), dtype=np.float32)
    np.add.at(sums, line, token[on_line])
    of_line = sums / np.maximum(np.bincount(line, minlength=layout.line_count), 1).astype(np.float32)[:, None]
    around = np.zeros_like(token)
    around[on_line] = _with_neighbours(tensors, of_line)[line]
    return _mixed(tensors, [token, around, np.broadcast_to(_summary(tensors, token), token.shape)])


def _mixed(tensors: Mapping[str, Floats], parts: list[Floats]) -> Floats:
    mixed: Floats = np.concatenate(parts, axis=1) @ tensors["mix.weight"].T + tensors["mix.bias"]
    return gelu(mixed)


def _summary(tensors: Mapping[str, Floats], token: Floats) -> Floats:
    """Of the whole text, float32[hidden]."""
    summary: Floats = tensors["summary.weight"] @ token.mean(axis=0) + tensors["summary.bias"]
    return summary


def _with_neighbours(tensors: Mapping[str, Floats], rows: Floats) -> Floats:
    """Residual convolutions over rows float32[n, hidden], to both sides."""
    for number, dilation in enumerate(DILATIONS):
        weight, bias = tensors[f"layers.{number}.weight"], tensors[f"layers.{number}.bias"]
        rows = rows + gelu(_convolved(rows, weight, dilation) + bias)
    return rows


def _convolved(rows: Floats, weight: Floats, dilation: int) -> Floats:
    """A convolution over rows float32[n, hidden] by weight float32[hidden, hidden, KERNEL], zeros beyond the ends."""
    reach = (KERNEL // 2) * dilation
    padded = np.pad(rows, ((reach, reach), (0, 0)))
    found = np.zeros_like(rows)
    for tap in range(KERNEL):
        found += padded[tap * dilation : tap * dilation + len(rows)] @ weight[:, :, tap].T
    return found
