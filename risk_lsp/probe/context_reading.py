"""What the probe that looks around computes from token features, in numpy: convolutions, and a summary of the text."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from risk_lsp.probe.gelu import gelu
from risk_lsp.probe.layout import OFF_LINE, Layout

KERNEL = 5
DILATIONS = (1, 2, 4)
GAP = (KERNEL // 2) * max(DILATIONS)  # what keeps one text, or part of one, out of another's reach

Floats = NDArray[np.float32]
Owners = NDArray[np.int64]


def context_shapes(hidden: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of the tensors that such a probe has beside those of a hazard probe."""
    shapes: dict[str, tuple[int, ...]] = {
        "summary.weight": (hidden, hidden),
        "summary.bias": (hidden,),
        "mix.weight": (hidden, 3 * hidden),
        "mix.bias": (hidden,),
    }
    for number in range(len(DILATIONS)):
        shapes[f"layers.{number}.weight"] = (hidden, hidden, KERNEL)
        shapes[f"layers.{number}.bias"] = (hidden,)
    return shapes


def with_lines(tensors: Mapping[str, Floats], token: Floats, layout: Layout) -> Floats:
    """Encoded tokens float32[n, hidden] of one text -> what each is in its line and part, float32[n, hidden]."""
    if not len(token):
        return token
    on_line = layout.line != OFF_LINE
    line = layout.line[on_line]
    of_line = np.zeros((layout.line_count, token.shape[1]), dtype=np.float32)
    known, means = _means(token[on_line], line)
    of_line[known] = means
    around = np.zeros_like(token)
    around[on_line] = _with_neighbours(tensors, of_line, layout.line_part)[line]
    return _mixed(tensors, [token, around, _summaries(tensors, token, layout.part)])


def _mixed(tensors: Mapping[str, Floats], parts: list[Floats]) -> Floats:
    mixed: Floats = np.concatenate(parts, axis=1) @ tensors["mix.weight"].T + tensors["mix.bias"]
    return gelu(mixed)


def _summaries(tensors: Mapping[str, Floats], token: Floats, part: Owners) -> Floats:
    """Of the part that each token is in, float32[n, hidden]."""
    known, means = _means(token, part)
    summaries: Floats = means @ tensors["summary.weight"].T + tensors["summary.bias"]
    return summaries[np.searchsorted(known, part)]


def _means(rows: Floats, owner: Owners) -> tuple[Owners, Floats]:
    """Owners that have rows, and the mean of each one's rows; `owner` int64[rows] rises."""
    known, first, counts = np.unique(owner, return_index=True, return_counts=True)
    if not len(known):
        return known, np.zeros((0, rows.shape[1]), dtype=np.float32)
    means = np.add.reduceat(rows, first, axis=0) / counts[:, None]
    return known, means.astype(np.float32)


def _with_neighbours(tensors: Mapping[str, Floats], rows: Floats, owner: Owners) -> Floats:
    """Residual convolutions over rows float32[n, hidden], to both sides; zeros between owners, whose rows are runs."""
    if not len(rows):
        return rows
    places = GAP + np.arange(len(rows)) + (owner - owner[0]) * GAP
    laid = np.zeros((places[-1] + GAP + 1, rows.shape[1]), dtype=np.float32)
    for number, dilation in enumerate(DILATIONS):
        weight, bias = tensors[f"layers.{number}.weight"], tensors[f"layers.{number}.bias"]
        laid[places] = rows
        found = np.zeros_like(rows)
        for tap in range(KERNEL):
            found += laid[places + (tap - KERNEL // 2) * dilation] @ weight[:, :, tap].T
        rows = rows + gelu(found + bias)
    return rows
