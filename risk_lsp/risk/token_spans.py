"""Which tokens of a text a span holds, by look-up."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput


class TokenSpans:
    """The character spans of a text's tokens, and the run of tokens that overlap any span of the text.

    `starts` and `ends` are int32[n], both never decreasing, within the text. Neighbours may share characters. An empty
    span holds no token. Raises BadInput if the arrays are anything else.
    """

    def __init__(self, text_length: int, starts: NDArray[Any], ends: NDArray[Any]) -> None:
        self.text_length = text_length
        self.starts = _integers("starts", starts)
        self.ends = _integers("ends", ends)
        if len(self.starts) != len(self.ends):
            raise BadInput(f"{len(self.starts)} token starts, but {len(self.ends)} token ends", "give one of each")
        self._require_order()

    def __len__(self) -> int:
        return len(self.starts)

    def overlapping(self, starts: NDArray[Any], ends: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """For spans [starts, ends): the first token of each and the one after its last, both int32, first <= last.

        Raises BadInput for a span that is reversed or outside of the text.
        """
        starts, ends = self._spans(starts, ends)
        first = self._ended_by[starts]
        return first, np.where(starts < ends, self._begun_before[ends], first)

    # One entry per offset: a look-up each is several times faster than a binary search each.

    @cached_property
    def _ended_by(self) -> NDArray[np.int32]:
        """For each offset, how many tokens end at or before it."""
        return self._count(self.ends)

    @cached_property
    def _begun_before(self) -> NDArray[np.int32]:
        """For each offset, how many tokens start before it."""
        return np.concatenate((np.zeros(1, np.int32), self._count(self.starts)[:-1]))

    def _count(self, offsets: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.cumsum(np.bincount(offsets, minlength=self.text_length + 1), dtype=np.int32)

    def _spans(self, starts: NDArray[Any], ends: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        if starts.shape != ends.shape:
            raise BadInput(f"{starts.shape} span starts, but {ends.shape} span ends", "give one of each")
        if starts.size == 0:
            return starts.astype(np.int32), ends.astype(np.int32)
        if starts.dtype.kind not in "iu" or ends.dtype.kind not in "iu":
            raise BadInput("span offsets have to be whole numbers", "give code-point offsets into the text")
        if int(starts.min()) < 0 or int(ends.max()) > self.text_length or bool((starts > ends).any()):
            place = int(np.flatnonzero((starts < 0) | (ends > self.text_length) | (starts > ends))[0])
            raise BadInput(
                f"span {int(starts.flat[place])}-{int(ends.flat[place])} does not fit a text of"
                f" {self.text_length} characters",
                "a span starts at or after 0, ends at or before the text's length, and does not end before it starts",
            )
        return starts, ends

    def _require_order(self) -> None:
        if len(self) == 0:
            return
        in_text = self.starts[0] >= 0 and self.ends[-1] <= self.text_length
        ordered = (np.diff(self.starts) >= 0).all() and (np.diff(self.ends) >= 0).all()
        if not (in_text and ordered and (self.starts <= self.ends).all()):
            raise BadInput("the token spans are out of order, or leave the text", "take them from one encoding")


def _integers(name: str, values: NDArray[Any]) -> NDArray[np.int32]:
    if values.ndim != 1 or (values.size and values.dtype.kind not in "iu"):
        raise BadInput(f"token {name} have to be one row of whole numbers", "take them from one encoding")
    return frozen(values.astype(np.int32))


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The array, not writable from here on."""
    array.setflags(write=False)
    return array
