"""What a stream can show, and source code as it may be shown there."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import TextIO

_TAB = 4


def wants_color(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether the stream is a terminal, and its owner did not ask for no colour (NO_COLOR, or TERM=dumb)."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def shows_unicode(stream: TextIO) -> bool:
    """Whether every character can be written to the stream."""
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def write_all(stream: TextIO, text: str) -> None:
    """Write the text; characters that the stream's encoding lacks are escaped, not refused."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def printable(code: str) -> str:
    """The code with tabs as spaces and every other control or invisible formatting character as its code in brackets.

    A file could otherwise move the cursor, change colours or turn the direction of writing, and so show other code than
    it holds.
    """
    return "".join(map(_visible, code.expandtabs(_TAB)))


def _visible(character: str) -> str:
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return f"<{ord(character):02X}>" if hidden else character
