"""Where torch runs a model, in which number type, and its weights: tensors of safetensors or GGUF by their names."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from risk_lsp.errors import ModelError, first_line
from risk_lsp.model.gguf_config import tensor_names
from risk_lsp.model.gguf_file import GgufFile
from risk_lsp.model.host import DecoderShape
from risk_lsp.model.sources import SCALES, Adapter, ModelFolder, weight_files

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
    """The number type of weights with which a device is fastest, of those that move no number that a person would see.

    bfloat16 where products in it are clearly faster than in float32 (AMX, AVX-512 BF16, tensor cores); else float16 on
    processors that compute in float32 with weights kept in it; else float32.
    """
    if device.type == "cuda":
        return torch.bfloat16
    seconds = {kind: _seconds_of_a_product(device, kind) for kind in (torch.bfloat16, torch.float32)}
    if seconds[torch.float32] > _WORTH * seconds[torch.bfloat16]:
        return torch.bfloat16
    return torch.float16 if product_type(torch.float16, device) == torch.float32 else torch.float32


def product_type(kind: torch.dtype, device: torch.device) -> torch.dtype:
    """The number type in which products with weights of this one are computed: float32 with float16 on processors
    for which FBGEMM has kernels, which widen weights as they are read; else the same.
    """
    return torch.float32 if kind == torch.float16 and device.type == "cpu" and _widens_halves() else kind


@cache
def _widens_halves() -> bool:
    rows = torch.ones(1, 1)
    try:
        weight = torch.ops.quantized.linear_prepack_fp16(rows, None)
        return float(torch.ops.quantized.linear_dynamic_fp16(rows, weight)) == 1
    except (AttributeError, RuntimeError):  # torch was built without it, or the processor lacks AVX2
        return False


@torch.inference_mode()
def _seconds_of_a_product(device: torch.device, kind: torch.dtype) -> float:
    rows, weight = (torch.ones(256, 1024, dtype=kind, device=device) for _ in range(2))
    seconds = []
    for _ in range(5):  # the first makes the kernel; of the others the best, as others may use the machine
        started = time.perf_counter()
        float(torch.nn.functional.linear(rows, weight)[0, 0])  # waits for the device
        seconds.append(time.perf_counter() - started)
    return min(seconds)


_FLOATS = ("F32", "F16", "BF16")


class Weights(Protocol):
    """Tensors that are read as they are asked for. shapes: of each by its name."""

    shapes: dict[str, tuple[int, ...]]

    def copy(self, name: str, target: Tensor) -> None:
        """Read a tensor into one of its shape, in that one's number type."""
        ...

    def rows(self, name: str, indices: Tensor) -> Tensor:
        """Some rows of a matrix, float32[indices, columns]."""
        ...

    def close(self) -> None:
        """Release what only `copy` needs; `rows` still works."""
        ...


def open_weights(folder: ModelFolder, shape: DecoderShape) -> Weights:
    """The tensors of a checked folder or GGUF file of this shape. Raises ModelError."""
    if folder.gguf is not None:
        return GgufWeights(folder.gguf, shape)
    return SafetensorsWeights(weight_files(folder), folder.name)


class SafetensorsWeights:
    """The tensors of safetensors files; see Weights."""

    def __init__(self, files: Sequence[Path], name: str) -> None:
        self._model = name
        self._files: dict[str, Path] = {}
        self._opened: dict[Path, Any] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        for path in files:
            opened = self._open(path)
            for tensor in opened.keys():  # noqa: SIM118 - not a dictionary
                self._files[tensor] = path
                self.shapes[tensor] = tuple(opened.get_slice(tensor).get_shape())
        for tensor in list(self.shapes):
            self._require_scales(tensor)

    def copy(self, name: str, target: Tensor) -> None:
        target.copy_(self._scale_rows(name, self._slice(name)[:], slice(None)))

    def rows(self, name: str, indices: Tensor) -> Tensor:
        matrix = self._slice(name)
        unique, places = torch.unique(indices, return_inverse=True)
        found = [self._scale_rows(name, matrix[row : row + 1], slice(row, row + 1)) for row in unique.tolist()]
        return torch.cat(found).float()[places]

    def close(self) -> None:
        self._opened.clear()  # the files' pages that were read count as memory of this process

    def _scale_rows(self, name: str, values: Tensor, rows: slice) -> Tensor:
        """Some rows of a tensor as they are, or, of one in eight bits, multiplied by their scales."""
        if values.dtype != torch.int8:
            return values
        scales = self._slice(name + SCALES)[rows].float()
        scaled: Tensor = values.float().view(*scales.shape, -1) * scales[:, :, None]
        return scaled.view(values.shape)

    def _require_scales(self, name: str) -> None:
        kind, sizes, scales = self._slice(name).get_dtype(), self.shapes[name], self.shapes.get(name + SCALES)
        if kind in _FLOATS:
            return
        if kind != "I8" or len(sizes) != 2 or scales is None or len(scales) != 2:
            raise ModelError(
                f"{name} of {self._model} is of type {kind}, without scales", "save the model as float32 or bfloat16"
            )
        if scales[0] != sizes[0] or not scales[1] or sizes[1] % scales[1]:
            raise ModelError(
                f"{name} of {self._model} has the sizes {sizes}, which scales of the sizes {scales} do not divide",
                "make or download it again",
            )

    def _slice(self, name: str) -> Any:
        return self._open(self._files[name]).get_slice(name)

    def _open(self, path: Path) -> Any:
        if path not in self._opened:
            try:
                self._opened[path] = safe_open(path, framework="pt")
            except (OSError, SafetensorError) as error:
                raise ModelError(
                    f"the model {self._model} cannot be loaded: {first_line(error)}",
                    "check or download its files again",
                ) from error
        return self._opened[path]


class GgufWeights:
    """The tensors of a GGUF file, dequantised; see Weights."""

    def __init__(self, file: GgufFile, shape: DecoderShape) -> None:
        self._file = file
        self._names = tensor_names(file, dict(shape.tensors(shape.layers, head=True)))
        self.shapes = {known: file.tensors[name].shape for known, name in self._names.items()}
        # llama.cpp turns pairs of neighbours, transformers the two halves of a head; its converter reorders the rows
        # of the Llama architecture, of queries and keys, for that.
        self._heads = (
            {"q_proj": shape.heads, "k_proj": shape.key_value_heads}
            if file.metadata["general.architecture"] == "llama"
            else {}
        )

    def copy(self, name: str, target: Tensor) -> None:
        target = target.view(-1, target.shape[-1]) if target.dim() > 1 else target.view(1, -1)
        for first, values in self._file.rows(self._names[name]):
            target[first : first + len(values)].copy_(torch.from_numpy(values))
        heads = next((count for part, count in self._heads.items() if f".{part}." in name), None)
        if heads is not None:
            rows = target.view(-1) if name.endswith("bias") else target
            rows.copy_(rows.reshape(heads, -1, 2, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape))

    def rows(self, name: str, indices: Tensor) -> Tensor:
        return torch.from_numpy(self._file.gather(self._names[name], indices.numpy()))

    def close(self) -> None:
        pass  # nothing but the open file is kept


class AdaptedWeights:
    """The tensors of a model with an adapter added to them; see Weights. Raises ModelError for one of another model."""

    def __init__(self, weights: Weights, adapter: Adapter) -> None:
        self.shapes = weights.shapes
        self._weights = weights
        self._changes = adapter.changes
        adapter.require_weights(self.shapes)

    def copy(self, name: str, target: Tensor) -> None:
        change = self._changes.get(name)
        if change is None:
            self._weights.copy(name, target)
            return
        exact = torch.empty(self.shapes[name])
        self._weights.copy(name, exact)
        target.copy_(exact + torch.from_numpy(change.product()))

    def rows(self, name: str, indices: Tensor) -> Tensor:
        found = self._weights.rows(name, indices)
        change = self._changes.get(name)
        return found if change is None else found + torch.from_numpy(change.up[indices.numpy()] @ change.down)

    def close(self) -> None:
        self._weights.close()
