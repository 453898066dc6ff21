"""Messages arrive as they were sent, and nothing else passes for a message."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from risk_lsp.errors import WorkerError
from risk_lsp.worker.messages import Message, pack, read_message

DTYPES = st.sampled_from([np.bool_, np.uint8, np.int32, np.int64, np.float32, np.float64])
ARRAYS = st.dictionaries(st.text(max_size=5), hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, min_side=0)), max_size=3)
ANY_TEXT = st.text(st.characters(exclude_categories=()))


def read_all(data: bytes) -> list[Message]:
    stream = io.BytesIO(data)
    return list(iter(lambda: read_message(stream), None))


@given(arrays=ARRAYS, request_id=st.integers(), name=ANY_TEXT)
def test_messages_come_through_one_after_the_other(arrays: dict[str, Any], request_id: int, name: str) -> None:
    first = Message("result", {"id": request_id, "header": {"name": name}}, arrays)
    second = Message("cancel", {"id": request_id})

    received = read_all(pack(first) + pack(second))

    assert [(message.kind, message.fields) for message in received] == [
        (first.kind, first.fields),
        (second.kind, second.fields),
    ]
    assert received[0].arrays.keys() == arrays.keys()
    for key, array in arrays.items():
        assert received[0].arrays[key].dtype == array.dtype
        np.testing.assert_array_equal(received[0].arrays[key], array)


def test_an_array_that_is_not_contiguous_comes_through() -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4).T[::2]

    (received,) = read_all(pack(Message("result", {"id": 1, "header": {}}, {"values": values})))

    np.testing.assert_array_equal(received.arrays["values"], values)


def test_an_array_of_objects_is_never_sent() -> None:
    with pytest.raises(WorkerError, match="dtype object"):
        pack(Message("result", {"id": 1, "header": {}}, {"things": np.array([object()])}))


@given(st.binary(min_size=1))
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(WorkerError):
        read_all(data)


@given(st.data())
def test_a_message_cut_off_anywhere_is_refused(data: st.DataObject) -> None:
    frame = pack(Message("result", {"id": 1, "header": {}}, {"values": np.zeros(3)}))
    length = data.draw(st.integers(1, len(frame) - 1))

    with pytest.raises(WorkerError):
        read_all(frame[:length])


def framed(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<4sIQ", b"rkW1", len(header), len(body)) + header + body


@pytest.mark.parametrize(
    "frame",
    [
        framed(b"[]"),
        framed(b"{}"),
        framed(b"\xff\xff"),
        framed(b"[" * 100_000),
        framed(b'{"kind": "explode", "fields": {}, "arrays": []}'),
        framed(b'{"kind": "cancel", "fields": {}, "arrays": []}'),
        framed(b'{"kind": "cancel", "fields": {"id": "one"}, "arrays": []}'),
        framed(b'{"kind": "shutdown", "fields": {}, "arrays": [["a", "object", [1]]]}', bytes(8)),
        framed(b'{"kind": "shutdown", "fields": {}, "arrays": [["a", "int32", [-1]]]}', bytes(4)),
        framed(b'{"kind": "shutdown", "fields": {}, "arrays": [["a", "int32", [2]]]}', bytes(4)),
        framed(b'{"kind": "shutdown", "fields": {}, "arrays": [["a", "int32", [99999999, 99999999]]]}', bytes(4)),
        framed(b'{"kind": "shutdown", "fields": {}, "arrays": []}', bytes(4)),
        struct.pack("<4sIQ", b"rkW1", 1 << 31, 0),
        struct.pack("<4sIQ", b"rkW1", 2, 1 << 60),
    ],
)
def test_a_frame_with_wrong_content_is_refused(frame: bytes) -> None:
    with pytest.raises(WorkerError, match="garbled"):
        read_all(frame)
