"""How fast the processor multiplies matrices of the default model's shapes, in each kind of number it may have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.bench.figures import Figure, timed

# One block of the default model: 1,024 tokens of width 256, to both halves of its gated layer and back.
_TOKENS, _WIDTH, _UP, _DOWN = 1024, 256, 1536, 768
_TIMES = 8
_GFLOP = 2 * _TIMES * _TOKENS * _WIDTH * (_UP + _DOWN) / 1e9


def matrix_rates(repeat: int) -> list[Figure]:
    """GFLOP/s (whole numbers: 10^9 operations a second) with all cores, float32 by numpy first."""
    return [
        Figure(f"matrix products of the model's shapes, {name}", unit, _rates(products, repeat), larger_is_better=True)
        for name, unit, products in (
            ("float32 by numpy", "GFLOP/s", _numpy_products()),
            ("float32 by torch", "GFLOP/s", _torch_products(torch.float32)),
            ("bfloat16 by torch", "GFLOP/s", _torch_products(torch.bfloat16)),
            ("int8 by torch", "GOP/s", _integer_products()),
        )
    ]


def _rates(products: Callable[[], None], repeat: int) -> tuple[float, ...]:
    return tuple(_GFLOP / seconds for seconds in timed(products, repeat))


def _numpy_products() -> Callable[[], None]:
    random = np.random.default_rng(1)
    sizes = ((_TOKENS, _WIDTH), (_UP, _WIDTH), (_TOKENS, _DOWN), (_WIDTH, _DOWN))
    tokens, up, half, down = (random.random(size, dtype=np.float32) for size in sizes)

    def products() -> None:
        for _ in range(_TIMES):
            tokens @ up.T
            half @ down.T

    return products


def _torch_products(dtype: torch.dtype) -> Callable[[], None]:
    sizes = ((_TOKENS, _WIDTH), (_UP, _WIDTH), (_TOKENS, _DOWN), (_WIDTH, _DOWN))
    tokens, up, half, down = (torch.rand(size, dtype=dtype) for size in sizes)

    def products() -> None:
        for _ in range(_TIMES):
            torch.nn.functional.linear(tokens, up)
            torch.nn.functional.linear(half, down)

    return products


def _integer_products() -> Callable[[], None]:
    sizes = ((_TOKENS, _WIDTH), (_WIDTH, _UP), (_TOKENS, _DOWN), (_DOWN, _WIDTH))
    tokens, up, half, down = (torch.randint(-127, 128, size, dtype=torch.int8) for size in sizes)

    def products() -> None:
        for _ in range(_TIMES):
            torch._int_mm(tokens, up)
            torch._int_mm(half, down)

    return products
