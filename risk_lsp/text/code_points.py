"""A text as an array of code points, and how many code units each takes in UTF-8 and UTF-16.

Python strings that come from JSON may hold lone surrogates. They count as one UTF-16 unit and, like the replacement
character most programs would put in their place, as three UTF-8 bytes.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

_SURROGATE = re.compile("[\ud800-\udfff]")


def code_points(text: str) -> NDArray[np.unsignedinteger]:
    """The code points of a text: uint8[n] if it is all ASCII, uint32[n] otherwise."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def utf8_widths(points: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    """Bytes per code point in UTF-8: int64[n], 1 to 4."""
    return 1 + (points > 0x7F).astype(np.int64) + (points > 0x7FF) + (points > 0xFFFF)


def utf16_widths(points: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    """Code units per code point in UTF-16: int64[n], 1 or 2."""
    return 1 + (points > 0xFFFF).astype(np.int64)


def utf8_bytes(text: str) -> bytes:
    """A text as valid UTF-8; a lone surrogate becomes U+FFFD, which is as wide as `utf8_widths` says."""
    return _SURROGATE.sub("\ufffd", text).encode("utf-8")


def join_surrogate_pairs(text: str) -> str:
    """The text with each high surrogate that is followed by a low one replaced by the character the two stand for."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def is_surrogate(character: str) -> bool:
    """Whether a character, or no character, is a lone surrogate."""
    return "\ud800" <= character <= "\udfff"
