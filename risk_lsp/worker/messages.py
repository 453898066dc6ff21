"""Messages between the server and its worker process, and the questions and answers that they carry.

A message is a JSON header and raw arrays. Its frame is the magic bytes, the header's length, the arrays' total length
(both little endian), the header as UTF-8 JSON, and the arrays' bytes one after the other in C order. Neither side ever
unpickles anything.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import RiskError, WorkerError

if TYPE_CHECKING:
    import asyncio

Arrays = Mapping[str, NDArray[Any]]

_PREFIX = struct.Struct("<4sIQ")
_MAGIC = b"rkW1"
_LONGEST_HEADER = 1 << 28
_LONGEST_ARRAYS = 1 << 32
_DTYPES = frozenset({"bool", "uint8", "int32", "int64", "float16", "float32", "float64"})

_FIELDS: dict[str, dict[str, type]] = {
    # server to worker
    "load": {"options": dict},
    "score": {"id": int, "text": str, "language_id": str, "at": int},  # at: the character that a person is at
    "ask": {"id": int, "question": str, "parameters": dict},
    "cancel": {"id": int},
    "shutdown": {},
    # worker to server
    "ready": {"description": dict},
    "failed": {"message": str, "hint": str},
    "part": {"id": int, "header": dict},  # of a result that is to follow
    "result": {"id": int, "header": dict},
    "error": {"id": int, "message": str, "hint": str, "refused": bool},  # refused: the text is at fault
}

PREFIX_LENGTH = _PREFIX.size


@dataclass(frozen=True)
class Message:
    """One message; `_FIELDS` has the kinds and their fields, which must be JSON. Strings may hold lone surrogates."""

    kind: str
    fields: dict[str, Any] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)


def pack(message: Message) -> bytes:
    """The frame of a message. Raises WorkerError for an array of a kind that does not travel."""
    blocks = []
    layout = []
    for name, array in message.arrays.items():
        if array.dtype.name not in _DTYPES:
            raise WorkerError(
                f"the array {name} has the dtype {array.dtype}", f"send one of {', '.join(sorted(_DTYPES))}"
            )
        blocks.append(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
        layout.append([name, array.dtype.name, list(array.shape)])
    header = json.dumps({"kind": message.kind, "fields": message.fields, "arrays": layout}).encode()
    body = b"".join(blocks)
    return _PREFIX.pack(_MAGIC, len(header), len(body)) + header + body


def unpack_prefix(prefix: bytes) -> tuple[int, int]:
    """Lengths of the header and of the arrays that follow. Raises WorkerError if `prefix` starts no frame."""
    magic, header_length, arrays_length = _PREFIX.unpack(prefix)
    if magic != _MAGIC or header_length > _LONGEST_HEADER or arrays_length > _LONGEST_ARRAYS:
        raise _garbled_error("something else than a message arrived")
    return header_length, arrays_length


def unpack(header: bytes, body: bytes) -> Message:
    """The message of a frame's two parts. Raises WorkerError if they are not what `pack` writes."""
    try:
        content = json.loads(header)
        kind, fields, layout = content["kind"], content["fields"], content["arrays"]
        for name, kind_of_value in _FIELDS[kind].items():
            if not isinstance(fields[name], kind_of_value):
                raise TypeError(f"{name} of {kind}")
        return Message(kind, fields, dict(_arrays(layout, body)))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _garbled_error(type(error).__name__) from error


def _arrays(layout: list[Any], body: bytes) -> Iterator[tuple[str, NDArray[Any]]]:
    offset = 0
    for name, dtype_name, shape in layout:
        if dtype_name not in _DTYPES or any(not isinstance(size, int) or size < 0 for size in shape):
            raise ValueError("layout of the arrays")
        dtype = np.dtype(dtype_name).newbyteorder("<")
        count = 1
        for size in shape:
            count *= size
        yield name, np.frombuffer(body, dtype, count, offset).reshape(shape)
        offset += count * dtype.itemsize
    if offset != len(body):
        raise ValueError("length of the arrays")


def read_message(stream: IO[bytes]) -> Message | None:
    """The next message of a stream, None at its end. Raises WorkerError for anything else than whole messages."""
    prefix = _read_exactly(stream, PREFIX_LENGTH)
    if not prefix:
        return None
    if len(prefix) < PREFIX_LENGTH:
        raise _garbled_error("the stream ended within a message")
    header_length, arrays_length = unpack_prefix(prefix)
    header = _read_exactly(stream, header_length)
    body = _read_exactly(stream, arrays_length)
    if len(header) < header_length or len(body) < arrays_length:
        raise _garbled_error("the stream ended within a message")
    return unpack(header, body)


def _read_exactly(stream: IO[bytes], length: int) -> bytes:
    """`length` bytes, or fewer at the end of the stream. A raw stream may give less than asked for at a time."""
    blocks = []
    while length > 0 and (block := stream.read(min(length, 1 << 20))):
        blocks.append(block)
        length -= len(block)
    return b"".join(blocks)


def _garbled_error(what: str) -> WorkerError:
    return WorkerError(f"the connection to the worker is garbled: {what}", "the worker is started again")


class ScoredArrays(NamedTuple):
    """What the worker's scorer gave for one text, or an answer to another question."""

    header: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


PartCallback = Callable[[ScoredArrays], None]


@dataclass(frozen=True)
class Request:
    """A question for the worker; the future is cancelled if the caller no longer waits.

    `kind` is the message's, and `fields` gives what it holds besides the id, at the time when the question is asked.
    `length` is how many characters the question has; `on_part` gets what is known before the whole answer.
    """

    id: int
    kind: str
    fields: Callable[[], dict[str, Any]]
    length: int
    on_part: PartCallback
    answer: asyncio.Future[ScoredArrays]

    def fail(self, error: RiskError) -> None:
        """Answer with an error, if somebody still waits."""
        if not self.answer.done():
            self.answer.set_exception(error)
