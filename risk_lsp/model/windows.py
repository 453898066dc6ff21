"""Cutting a text that is longer than a model's context into overlapping windows, most of which survive an edit."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

_LOOKED_AT = 12  # tokens from a boundary on that decide whether a text is cut there


class Window(NamedTuple):
    """Run the tokens [start, end) and keep the rows of [keep, end); indices into the whole text's tokens."""

    start: int
    keep: int
    end: int


class Shares(NamedTuple):
    """How windows divide the context, in shares of it: left context from least to most, kept tokens from least to most.

    Less left context makes an edit of a long text cheaper.
    """

    left_least: float = 1 / 4
    left_most: float = 3 / 8
    kept_least: float = 1 / 4
    kept_most: float = 5 / 8


def plan_windows(
    token_ids: NDArray[Any], context: int, boundaries: Sequence[int] = (), shares: Shares | None = None
) -> list[Window]:
    """Windows of at most `context` tokens that keep every token exactly once, in order.

    Every kept token has at least `left_least` of the context to its left within its window, wherever the text has that
    many. `boundaries` are the sorted token indices at which statements start: windows keep from one of them, and start
    at one of them, where that leaves enough to keep and enough left context.

    Where a text is cut depends on what stands there (content-defined chunking), not on how far from its beginning that
    is: an edit moves the cuts near it, and the windows further down hold what they held before.
    """
    count = len(token_ids)
    if context < 1:
        raise ValueError(f"cannot plan windows for {count} tokens in a context of {context}")
    if count == 0:
        return []
    if count <= context:
        return [Window(0, 0, count)]
    left_least, left_most, kept_least, kept_most = (int(context * share) for share in shares or Shares())
    kept_least, kept_most = max(1, kept_least), max(1, kept_most)
    windows = [Window(0, 0, _cut(token_ids, max(1, context // 2), context, boundaries))]
    while (keep := windows[-1].end) < count:
        end = count if count - keep <= kept_most else _cut(token_ids, keep + kept_least, keep + kept_most, boundaries)
        windows.append(Window(_start(keep - left_most, keep - left_least, boundaries), keep, end))
    return windows


def _cut(token_ids: NDArray[Any], first: int, last: int, boundaries: Sequence[int]) -> int:
    """The boundary in [first, last] whose text has the lowest checksum; `last` where there is none."""
    near = boundaries[bisect_left(boundaries, first) : bisect_right(boundaries, last)]
    return min(near, key=lambda place: (_checksum(token_ids, place), place), default=last)


def _checksum(token_ids: NDArray[Any], place: int) -> int:
    return crc32(np.ascontiguousarray(token_ids[place : place + _LOOKED_AT], dtype="<i4").tobytes())


def _start(earliest: int, latest: int, boundaries: Sequence[int]) -> int:
    """The first boundary in [earliest, latest], from the text's first token on; `earliest` where there is none."""
    earliest = max(0, earliest)
    index = bisect_left(boundaries, earliest)
    return boundaries[index] if index < len(boundaries) and boundaries[index] <= latest else earliest
