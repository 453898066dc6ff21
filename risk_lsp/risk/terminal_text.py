"""Source code as it may be printed: one row per line, and nothing in it that a terminal obeys."""

from __future__ import annotations

import unicodedata

_TAB = 4


def printable(code: str) -> str:
    """The code with tabs as spaces and every other control or invisible formatting character as its code in brackets.

    A file could otherwise move the cursor, change colours or turn the direction of writing, and so show other code than
    it holds.
    """
    return "".join(map(_visible, code.expandtabs(_TAB)))


def _visible(character: str) -> str:
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return f"<{ord(character):02X}>" if hidden else character
