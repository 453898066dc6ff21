"""Products with the weights of the torch decoder, in the layout that the processor's kernels want."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_ROWS_OF_A_BATCH = 256  # for which the layout is chosen; it serves other numbers as well


class Linear:
    """Maps [rows, columns] to [rows, outputs] by a weight [outputs, columns] and a bias, if there is one.

    On processors the weight is kept in the blocks that oneDNN computes with, or it would be reordered for each product.
    That costs half of the time where rows are few.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.outputs, self.columns = weight.shape
        self.dtype = weight.dtype
        self._packed = weight.device.type == "cpu" and _has_kernels(weight.dtype)
        self._weight = _onednn()._reorder_linear_weight(weight, _ROWS_OF_A_BATCH) if self._packed else weight
        self._bias = bias

    def __call__(self, rows: Tensor) -> Tensor:
        """The products of contiguous rows in the weight's number type."""
        if not self._packed:
            return functional.linear(rows, self._weight, self._bias)
        found: Tensor = _onednn()._linear_pointwise(rows, self._weight, self._bias, "none", [], "")
        return found


def _has_kernels(dtype: torch.dtype) -> bool:
    if not hasattr(_onednn(), "_linear_pointwise") or not torch._C._has_mkldnn:
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and bool(_onednn()._is_mkldnn_bf16_supported()))


def _onednn() -> Any:
    return torch.ops.mkldnn
