"""A GGUF file opened with care: its header is checked against the file's size before anything of its size is allocated.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import os
import struct
import weakref
from collections.abc import Iterator
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import ModelError, needs_extra

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SCALARS = dict(enumerate(("<u1", "<i1", "<u2", "<i2", "<u4", "<i4", "<f4", "?", None, None, "<u8", "<i8", "<f8")))
_STRING, _ARRAY = 8, 9
_LONGEST_NAME = 1024
_LONGEST_TEXT = 1 << 24
_MOST_ENTRIES = 1 << 16  # of metadata, and of tensors
_MOST_ITEMS = 1 << 22  # of an array; the largest vocabularies have a tenth of that
_MOST_DIMENSIONS = 4
_DEFAULT_ALIGNMENT = 32
_LARGEST_ALIGNMENT = 1 << 16
_VALUES_AT_ONCE = 1 << 20  # 4 MiB of float32 stay in the cache while they are worked on


class GgufArray(NamedTuple):
    """Where an array of the metadata stands in the file. `kind` is its items' type in GGUF."""

    kind: int
    items: int
    offset: int


class GgufTensor(NamedTuple):
    """One tensor: `shape` in numpy's order, its ggml type, and where its data stands in the file."""

    shape: tuple[int, ...]
    kind: int
    offset: int
    size: int


class GgufFile:
    """Metadata and tensors of a GGUF file, read from the open file as they are asked for.

    metadata: scalars and strings by key, arrays as GgufArray. Raises ModelError for a file that is not whole.
    """

    def __init__(self, path: Path) -> None:
        try:
            import gguf
        except ModuleNotFoundError as error:
            raise needs_extra(path.name, error) from error
        self.path = path
        self._gguf = gguf
        try:
            self._descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}", "check its permissions") from error
        weakref.finalize(self, os.close, self._descriptor)
        with self._reopen() as file:
            header = _Header(file, path)
        self.metadata = header.metadata
        self.tensors = _checked_tensors(header, gguf)
        for kind in {tensor.kind for tensor in self.tensors.values()}:
            named = self._gguf.GGMLQuantizationType(kind)
            _, size = self._gguf.GGML_QUANT_SIZES[named]
            try:
                self._dequantise(kind, bytearray(size), 1)
            except NotImplementedError as error:
                raise ModelError(
                    f"{self.path} holds numbers of the type {named.name}, which are not supported",
                    "use Q4_K_M, Q8_0 or F16",
                ) from error

    def array(self, key: str) -> NDArray[Any] | list[str]:
        """The items of an array of the metadata: strings, or numbers as numpy has them."""
        array = self.metadata[key]
        assert isinstance(array, GgufArray)
        with self._reopen() as file:
            cursor = _Cursor(file, self.path, array.offset)
            if array.kind == _STRING:
                return [cursor.text(_LONGEST_TEXT) for _ in range(array.items)]
            kind = np.dtype(_SCALARS[array.kind])
            return np.frombuffer(cursor.take(array.items * kind.itemsize), kind)

    def rows(self, name: str) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """A tensor dequantised, some rows at a time, each with the index of its first: float32[rows, columns]."""
        tensor = self.tensors[name]
        columns = tensor.shape[-1]
        count = prod(tensor.shape) // columns
        step = max(1, _VALUES_AT_ONCE // columns)
        size = tensor.size * columns // prod(tensor.shape)  # bytes of a row
        for first in range(0, count, step):
            taken = min(step, count - first)
            data = self._read(tensor.offset + first * size, taken * size)
            yield first, self._dequantise(tensor.kind, data, taken)

    def gather(self, name: str, indices: NDArray[Any]) -> NDArray[np.float32]:
        """Some rows of a matrix, float32[indices, columns]."""
        tensor = self.tensors[name]
        if not len(indices):
            return np.zeros((0, tensor.shape[-1]), np.float32)
        unique, places = np.unique(indices, return_inverse=True)
        size = tensor.size // tensor.shape[0]
        data = bytearray().join(self._read(tensor.offset + int(row) * size, size) for row in unique)
        return self._dequantise(tensor.kind, data, len(unique))[places]

    def _reopen(self) -> BinaryIO:
        """The same file, even if another one has its name by now."""
        return open(os.dup(self._descriptor), "rb")

    def _dequantise(self, kind: int, data: bytearray, rows: int) -> NDArray[np.float32]:
        named = self._gguf.GGMLQuantizationType(kind)
        plain = {self._gguf.GGMLQuantizationType.F32: "<f4", self._gguf.GGMLQuantizationType.F16: "<f2"}
        values = np.frombuffer(data, plain.get(named, "u1")).reshape(rows, -1)
        return self._gguf.quants.dequantize(values, named).astype(np.float32, copy=False)

    def _read(self, offset: int, size: int) -> bytearray:
        data = bytearray(os.pread(self._descriptor, size, offset))
        if len(data) != size:
            raise ModelError(f"{self.path} has become shorter than it was", "load it again when nothing writes to it")
        return data


class _Cursor:
    """Reads a file from place to place, and never past its end."""

    def __init__(self, file: BinaryIO, path: Path, offset: int = 0) -> None:
        self._file = file
        self._path = path
        self.size = os.fstat(file.fileno()).st_size
        self.offset = file.seek(offset)

    def take(self, count: int) -> bytes:
        if count > self.size - self.offset:
            self.refuse(f"it ends at byte {self.size}, within something that needs {count} bytes at {self.offset}")
        data = self._file.read(count)
        if len(data) != count:
            self.refuse("it has become shorter than it was")
        self.offset += count
        return data

    def number(self, kind: str) -> Any:
        return struct.unpack(kind, self.take(struct.calcsize(kind)))[0]

    def text(self, longest: int) -> str:
        length = self.number("<Q")
        if length > longest:
            self.refuse(f"a text of {length} bytes at {self.offset}")
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            self.refuse(f"a text at byte {self.offset} that is not UTF-8")

    def refuse(self, defect: str) -> NoReturn:
        raise ModelError(f"{self._path} is not a whole GGUF file: {defect}", "download or convert it again")


class _Header(_Cursor):
    """Everything before the data. tensors: name, sizes (innermost first), type and offset from `start`."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        super().__init__(file, path)
        if self.size < 4 or self.take(4) != MAGIC:
            raise ModelError(f"{path} is not a GGUF file", "name a GGUF file, or a folder in the transformers format")
        version = self.number("<I")
        if version not in _VERSIONS:
            raise ModelError(
                f"{path} is of GGUF version {version}", "convert it again to GGUF version 3, little-endian"
            )
        tensors, entries = self.number("<Q"), self.number("<Q")
        if tensors > _MOST_ENTRIES or entries > _MOST_ENTRIES:
            self.refuse(f"it claims {tensors} tensors and {entries} entries")
        self.metadata: dict[str, Any] = {}
        for _ in range(entries):
            key = self.text(_LONGEST_NAME)
            if key in self.metadata:
                self.refuse(f"{key} stands there twice")
            self.metadata[key] = self._value(self.number("<I"), key)
        self.tensors: list[tuple[str, list[int], int, int]] = []
        for _ in range(tensors):
            name, dimensions = self.text(_LONGEST_NAME), self.number("<I")
            if not 0 < dimensions <= _MOST_DIMENSIONS:
                self.refuse(f"the tensor {name} has {dimensions} dimensions")
            sizes = [self.number("<Q") for _ in range(dimensions)]
            self.tensors.append((name, sizes, self.number("<I"), self.number("<Q")))
        alignment = self.metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or not 0 < alignment <= _LARGEST_ALIGNMENT or alignment & (alignment - 1):
            self.refuse(f"its data is aligned to {alignment!r}")
        self.alignment = alignment
        self.start = -(-self.offset // alignment) * alignment

    def _value(self, kind: int, key: str) -> Any:
        if kind == _STRING:
            return self.text(_LONGEST_TEXT)
        if kind == _ARRAY:
            kind, count = self.number("<I"), self.number("<Q")
            array = GgufArray(kind, count, self.offset)
            if count > _MOST_ITEMS:
                self.refuse(f"{key} claims {count} items")
            if kind == _STRING:
                for _ in range(count):
                    self.take(min(self.number("<Q"), self.size))
            elif (scalar := _SCALARS.get(kind)) is None:
                self.refuse(f"{key} is an array of the unknown type {kind}")
            else:
                self.take(count * np.dtype(scalar).itemsize)
            return array
        if (scalar := _SCALARS.get(kind)) is None:
            self.refuse(f"{key} is of the unknown type {kind}")
        return np.frombuffer(self.take(np.dtype(scalar).itemsize), scalar)[0].item()


def _checked_tensors(header: _Header, gguf: Any) -> dict[str, GgufTensor]:
    """Tensors by name: each is of a known type and within the file, and no two overlap."""
    tensors: dict[str, GgufTensor] = {}
    for name, sizes, kind, offset in header.tensors:
        if name in tensors:
            header.refuse(f"the tensor {name} stands there twice")
        if not 0 < prod(sizes) <= 8 * header.size:  # no type takes less than a bit
            header.refuse(f"the tensor {name} has the sizes {sizes}")
        try:
            block, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)]
        except (KeyError, ValueError):
            header.refuse(f"the tensor {name} is of the unknown type {kind}")
        if sizes[0] % block:
            header.refuse(f"the tensor {name} has rows of {sizes[0]}, which its type takes in blocks of {block}")
        if offset % header.alignment:
            header.refuse(f"the tensor {name} is not aligned")
        found = GgufTensor(tuple(reversed(sizes)), kind, header.start + offset, prod(sizes) // block * size)
        if found.offset + found.size > header.size:
            header.refuse(f"it ends before the tensor {name} does: at {header.size}, not {found.offset + found.size}")
        tensors[name] = found
    ordered = sorted(tensors.items(), key=lambda item: item[1].offset)
    for (_, first), (name, second) in pairwise(ordered):
        if first.offset + first.size > second.offset:
            header.refuse(f"the tensor {name} lies over another")
    return tensors
