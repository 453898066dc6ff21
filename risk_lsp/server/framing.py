"""The base protocol: `Content-Length` headers around JSON bodies, on byte streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

HEADER_LIMIT = 16_384  # bytes; more than this without a blank line is not a header
_SEPARATOR = b"\r\n\r\n"


class FramingError(Exception):
    """The stream is not the base protocol; nothing after this point can be understood."""


class MessageBuffer:
    """Collects bytes and cuts them into message bodies."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Add bytes that were read."""
        self._pending += chunk

    def bodies(self) -> Iterator[bytes]:
        """Take out every complete body. Raises FramingError when a header has no usable length."""
        while (body := self.take()) is not None:
            yield body

    def take(self) -> bytes | None:
        """Take out the next body, or None when more bytes are needed. Raises FramingError like `bodies`."""
        header_end = self._pending.find(_SEPARATOR)
        if header_end < 0:
            if len(self._pending) > HEADER_LIMIT:
                raise FramingError(f"no end of the header within {HEADER_LIMIT} bytes")
            return None
        start = header_end + len(_SEPARATOR)
        end = start + _content_length(bytes(self._pending[:header_end]))
        if len(self._pending) < end:
            return None
        body = bytes(self._pending[start:end])
        del self._pending[:end]
        return body


def frame(message: dict[str, Any]) -> bytes:
    """A message as it goes over the wire."""
    body = json.dumps(message).encode("ascii")
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def _content_length(header: bytes) -> int:
    """The body's length in bytes; header names are case-insensitive and other headers are ignored."""
    for line in header.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    raise FramingError("a header without Content-Length")
