"""Weights of a model folder as numpy arrays, and the hashes that tie a probe to one exact model and tokenizer.

A matrix may be kept in eight bits: int8[rows, columns] under its name, and under its name with SCALES behind it
float[rows, groups] by which each of as many equal stretches of a row is multiplied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from risk_lsp.errors import ModelError, first_line
from risk_lsp.model.sources import ModelFolder

SCALES = ".scales"
_BLOCK = 1 << 20


def hash_files(paths: Iterable[Path]) -> str:
    """`sha256:` and the digest of the files' contents, one after the other in the given order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def hash_weights(path: Path) -> str:
    """Hash of a GGUF file, or of a folder's safetensors files in the order of their names, then its config.json."""
    if path.is_file():
        return hash_files([path])
    return hash_files([*sorted(path.glob("*.safetensors")), path / "config.json"])


def hash_text(text: str) -> str:
    """`sha256:` and the digest of `text` as UTF-8."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


_tensors: Callable[[bytes], list[tuple[str, dict[str, Any]]]] = deserialize
_READERS: dict[str, Callable[[bytes], NDArray[Any]]] = {
    "F32": lambda data: np.frombuffer(data, "<f4"),
    "F16": lambda data: np.frombuffer(data, "<f2"),
    "I8": lambda data: np.frombuffer(data, "i1"),
    # The upper half of a float32; numpy has no such type.
    "BF16": lambda data: (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4"),
}


def weight_files(folder: ModelFolder) -> list[Path]:
    """The safetensors files of a checked model folder, in order."""
    whole = folder.path / "model.safetensors"
    return [whole] if whole.is_file() else sorted(folder.path.glob("model-*.safetensors"))


def read_weights(folder: ModelFolder) -> dict[str, NDArray[np.float32]]:
    """Every tensor by name, in float32. Raises ModelError for a damaged file or numbers of another kind."""
    weights: dict[str, NDArray[np.float32]] = {}
    in_eight_bits: list[str] = []
    for file in weight_files(folder):
        try:
            tensors = _tensors(file.read_bytes())
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"the model {folder.name} cannot be loaded: {first_line(error)}", "check or download its files again"
            ) from error
        for name, tensor in tensors:
            if tensor["dtype"] not in _READERS:
                raise ModelError(
                    f"{name} of {folder.name} is of type {tensor['dtype']}", "save the model as float32 or bfloat16"
                )
            if tensor["dtype"] == "I8":
                in_eight_bits.append(name)
            values = _READERS[tensor["dtype"]](tensor["data"])
            weights[name] = values.astype(np.float32, copy=False).reshape(tensor["shape"])
    for name in in_eight_bits:
        _scale(weights[name], weights.pop(name + SCALES, None), name, folder)
    return weights


def _scale(matrix: NDArray[np.float32], scales: NDArray[np.float32] | None, name: str, folder: ModelFolder) -> None:
    """Multiply the groups of each row of `matrix` by their scales, in place."""
    if scales is None or matrix.ndim != 2 or scales.ndim != 2 or scales.shape[0] != len(matrix):
        raise ModelError(f"{name} of {folder.name} has no scales for its eight bits", "make or download it again")
    if not scales.shape[1] or matrix.shape[1] % scales.shape[1]:
        raise ModelError(
            f"{name} of {folder.name} has {matrix.shape[1]} columns, which {scales.shape[1]} scales do not divide",
            "make or download it again",
        )
    grouped = matrix.reshape(len(matrix), scales.shape[1], -1)
    grouped *= scales[:, :, None]
