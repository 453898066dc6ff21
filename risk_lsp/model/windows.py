"""Cutting a text that is longer than a model's context into overlapping windows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple


class Window(NamedTuple):
    """Run the tokens [start, end) and keep the rows of [keep, end); indices into the whole text's tokens."""

    start: int
    keep: int
    end: int


def plan_windows(token_count: int, context: int, boundaries: Sequence[int] = ()) -> list[Window]:
    """Windows of at most `context` tokens that keep every token exactly once, in order.

    Every kept token has at least `context // 2` tokens to its left within its window, wherever the text has that many.
    `boundaries` are sorted token indices at which statements start: a window starts at one of them if that leaves it
    enough left context and still lets it keep a quarter of the context (or finish the text).
    """
    if token_count < 0 or context < 1:
        raise ValueError(f"cannot plan windows for {token_count} tokens in a context of {context}")
    if token_count == 0:
        return []
    windows = [Window(0, 0, min(token_count, context))]
    while (keep := windows[-1].end) < token_count:
        start = _window_start(keep, token_count, context, boundaries)
        windows.append(Window(start, keep, min(token_count, start + context)))
    return windows


def _window_start(keep: int, token_count: int, context: int, boundaries: Sequence[int]) -> int:
    """Where the window that keeps from `keep` starts."""
    latest = keep - context // 2
    finishing = token_count - context
    if finishing <= latest:
        # This window reaches the text's end from any start in range, so it takes all the left context that fits.
        index = bisect_left(boundaries, finishing)
        return boundaries[index] if index < len(boundaries) and boundaries[index] <= latest else finishing
    earliest = latest - context // 4
    index = bisect_right(boundaries, latest) - 1
    return boundaries[index] if index >= 0 and boundaries[index] >= earliest else latest
