"""Delta debugging (ddmin): from a set of changes that works to one of which no part works alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from typing import TypeVar

Change = TypeVar("Change")
# For each set of changes: does the program work with them?
Judge = Callable[[Sequence[Sequence[Change]]], Sequence[bool]]

# Up to so many changes, every subset is tried; beyond, only those with one change less.
_ALL_SUBSETS = 4


def minimise(changes: Sequence[Change], works: Judge[Change]) -> list[Change]:
    """A subset of `changes`, which all together work, such that it works no more if any one of them is left out.

    If few are left, no strict subset of them works at all. Sets are judged several at a time. The order of the changes
    is kept; neighbours are tried together first.
    """
    kept = list(changes)
    parts = 2
    while len(kept) >= 2:
        parts = min(parts, len(kept))
        pieces = _split(kept, parts)
        smaller = _first_that_works(pieces, works)
        if smaller is not None:
            kept, parts = smaller, 2
            continue
        rests = [[change for other in pieces if other is not piece for change in other] for piece in pieces]
        smaller = _first_that_works(rests, works) if parts > 2 else None
        if smaller is not None:
            kept, parts = smaller, max(parts - 1, 2)
        elif parts == len(kept):
            break
        else:
            parts *= 2
    return _smallest_subset(kept, works)


def _smallest_subset(kept: list[Change], works: Judge[Change]) -> list[Change]:
    if len(kept) > _ALL_SUBSETS:
        return kept
    # Those of one change and of one less have been tried.
    for count in range(2, len(kept) - 1):
        smaller = _first_that_works([list(subset) for subset in combinations(kept, count)], works)
        if smaller is not None:
            return smaller
    return kept


def _first_that_works(sets: list[list[Change]], works: Judge[Change]) -> list[Change] | None:
    return next((changes for changes, does in zip(sets, works(sets), strict=True) if does), None)


def _split(changes: list[Change], parts: int) -> list[list[Change]]:
    bounds = [len(changes) * part // parts for part in range(parts + 1)]
    return [changes[start:end] for start, end in pairwise(bounds)]
