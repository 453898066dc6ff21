"""Message bodies come out of the byte stream whole, however it is cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.server.wire.connection import HEADER_LIMIT, FramingError, MessageBuffer, frame

MESSAGES = st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3), max_size=5)


@given(MESSAGES, st.data())
def test_messages_survive_any_cut(messages: list[dict[str, Any]], data: st.DataObject) -> None:
    stream = b"".join(frame(message) for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    buffer, bodies = MessageBuffer(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        buffer.feed(stream[start:end])
        while (body := buffer.take()) is not None:
            bodies.append(body)
    assert [json.loads(body) for body in bodies] == messages


@pytest.mark.parametrize("header", [b"Content-Length: -1", b"Content-Length: x", b"Content-Type: a", b"", b"GET /"])
def test_a_header_without_a_length_is_refused(header: bytes) -> None:
    buffer = MessageBuffer()
    buffer.feed(header + b"\r\n\r\n")
    with pytest.raises(FramingError):
        buffer.take()


def test_a_header_that_never_ends_is_refused() -> None:
    buffer = MessageBuffer()
    buffer.feed(b"x" * (HEADER_LIMIT + 1))
    with pytest.raises(FramingError):
        buffer.take()
