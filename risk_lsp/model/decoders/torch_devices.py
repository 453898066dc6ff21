"""Where torch runs a model, and in which number type."""

from __future__ import annotations

import time
from functools import cache

import torch

from risk_lsp.errors import ModelError

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_WORTH = 1.3  # times as fast, before a coarser number type is taken


def torch_device(name: str) -> torch.device:
    """The device of that name; "auto" is a GPU where there is one. Raises ModelError."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"the device {name} cannot be used here", "use auto, cpu, cuda or mps") from error
    return device


def number_type(name: str, device: torch.device) -> torch.dtype:
    """The number type of that name; "auto" is bfloat16 on CUDA, else float32. Raises ModelError."""
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if name not in _DTYPES:
        raise ModelError(f"the dtype {name} is not supported", f"use auto, {', '.join(_DTYPES)}")
    return _DTYPES[name]


@cache
def fast_number_type(device: torch.device) -> torch.dtype:
    """bfloat16 where products in it are clearly faster than in float32 (AMX, AVX-512 BF16, tensor cores)."""
    if device.type == "cuda":
        return torch.bfloat16
    seconds = {kind: _seconds_of_a_product(device, kind) for kind in (torch.bfloat16, torch.float32)}
    return torch.bfloat16 if seconds[torch.float32] > _WORTH * seconds[torch.bfloat16] else torch.float32


@torch.inference_mode()
def _seconds_of_a_product(device: torch.device, kind: torch.dtype) -> float:
    rows, weight = (torch.ones(256, 1024, dtype=kind, device=device) for _ in range(2))
    seconds = []
    for _ in range(5):  # the first makes the kernel; of the others the best, as others may use the machine
        started = time.perf_counter()
        float(torch.nn.functional.linear(rows, weight)[0, 0])  # waits for the device
        seconds.append(time.perf_counter() - started)
    return min(seconds)
