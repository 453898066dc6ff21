"""A text held in pieces, so that an edit copies one or two of them and not the whole text."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

# Characters. A small text stays in one piece; a larger one is cut up by its first edit.
_PIECE = 8192


class Pieces:
    """An immutable text. All offsets are into the whole of it."""

    __slots__ = ("_pieces", "_starts", "_text")

    def __init__(self, *pieces: str) -> None:
        self._pieces = pieces or ("",)
        self._starts = (0, *accumulate(map(len, self._pieces)))
        self._text = self._pieces[0] if len(self._pieces) == 1 else None

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def text(self) -> str:
        """The whole text, put together when it is first asked for."""
        if self._text is None:
            self._text = "".join(self._pieces)
        return self._text

    def slice(self, start: int, end: int) -> str:
        """The characters [start, end)."""
        if self._text is not None:
            return self._text[start:end]
        first, last = self._piece_at(start), self._piece_at(end)
        origin = self._starts[first]
        return "".join(self._pieces[first : last + 1])[start - origin : end - origin]

    def spliced(self, start: int, end: int, replacement: str) -> Pieces:
        """The text with the characters [start, end) replaced."""
        first, last = self._piece_at(start), self._piece_at(end)
        before = self._pieces[first][: start - self._starts[first]]
        after = self._pieces[last][end - self._starts[last] :]
        return Pieces(*self._pieces[:first], *_cut(before + replacement + after), *self._pieces[last + 1 :])

    def _piece_at(self, offset: int) -> int:
        """The piece that holds the character at the offset; at the end of the text, the last one."""
        return min(bisect_right(self._starts, offset), len(self._pieces)) - 1


def _cut(text: str) -> list[str]:
    """A text as pieces of one to two times the usual size; none for an empty one."""
    if len(text) <= 2 * _PIECE:
        return [text] if text else []
    return [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
