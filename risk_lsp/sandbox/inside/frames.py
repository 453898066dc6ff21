"""Framing between the sandbox's two ends: sizes, a JSON header, raw bytes."""

from __future__ import annotations

import json
import struct
from typing import Any

_SIZES = struct.Struct("!II")
PREFIX = _SIZES.size


def encode_frame(header: dict[str, Any], body: bytes = b"") -> bytes:
    """One frame; `header` holds JSON values."""
    # ASCII escapes carry even the lone surrogates that a model may write.
    text = json.dumps(header, ensure_ascii=True).encode("ascii")
    return _SIZES.pack(len(text), len(body)) + text + body


def frame_size(data: bytes | bytearray) -> int | None:
    """Size of the frame at the start of `data`, or None while its prefix is incomplete."""
    if len(data) < PREFIX:
        return None
    header, body = _SIZES.unpack_from(data)
    return int(PREFIX + header + body)


def decode_frame(data: bytes | bytearray) -> tuple[dict[str, Any], bytes]:
    """Header and body of one complete frame. ValueError if it is malformed."""
    header_size, body_size = _SIZES.unpack_from(data)
    header = json.loads(bytes(data[PREFIX : PREFIX + header_size]))
    if not isinstance(header, dict):
        raise ValueError("a frame's header is not an object")
    return header, bytes(data[PREFIX + header_size : PREFIX + header_size + body_size])
