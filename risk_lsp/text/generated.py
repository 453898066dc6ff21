"""Whether text that appeared in one change looks as if a model had written it."""

from __future__ import annotations

from collections.abc import Callable

_LINES = 3
_CHARACTERS = 80


def content_lines(text: str) -> list[str]:
    """The lines of a text that are not blank, without the white space around them."""
    return [content for line in text.splitlines() if (content := line.strip())]


def is_large(lines: list[str]) -> bool:
    """Whether lines are more than a person types, or a completion of one statement inserts, at once: three lines and
    eighty characters besides white space."""
    return len(lines) >= _LINES and sum(len("".join(line.split())) for line in lines) >= _CHARACTERS


def looks_generated(inserted: str, is_known: Callable[[str], bool]) -> bool:
    """Whether text inserted by one change looks generated.

    `is_known` tells whether a line, without the white space around it, stood in the workspace before, or a moment ago.
    The rule: the lines that are new are large in themselves, and at least half of all. So text that was undone, moved,
    copied from an open document or laid out anew does not count. Text pasted from elsewhere does: where it came from
    cannot be told.
    """
    lines = content_lines(inserted)
    if not is_large(lines):
        return False
    new = [line for line in lines if not is_known(line)]
    return is_large(new) and 2 * len(new) >= len(lines)
