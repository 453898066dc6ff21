"""Delta debugging: what is left works, and works no more without any part of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.lab.patches.search import minimise

SUFFICIENT = st.lists(st.sets(st.integers(0, 11), min_size=1), min_size=1, max_size=4)


def test_one_change_of_many_is_found() -> None:
    assert minimise(range(100), lambda sets: [37 in changes for changes in sets]) == [37]


def test_changes_that_need_each_other_stay_together() -> None:
    assert minimise(range(16), lambda sets: [{2, 13} <= set(changes) for changes in sets]) == [2, 13]


@given(sufficient=SUFFICIENT)
def test_leaving_out_any_one_change_breaks_what_is_left(sufficient: list[set[int]]) -> None:
    def works(changes: Sequence[int]) -> bool:
        return any(needed <= set(changes) for needed in sufficient)

    everything = sorted(set().union(*sufficient))
    kept = minimise(everything, lambda sets: [works(changes) for changes in sets])

    assert works(kept)
    assert not any(works(list(rest)) for rest in combinations(kept, len(kept) - 1))


@given(accepted=st.sets(st.frozensets(st.integers(0, 3), min_size=1)))
def test_of_few_changes_no_strict_subset_works(accepted: set[frozenset[int]]) -> None:
    # Whether a set works says nothing about larger ones: as with programs.
    def works(changes: Sequence[int]) -> bool:
        return len(changes) == 4 or frozenset(changes) in accepted

    kept = minimise(range(4), lambda sets: [works(changes) for changes in sets])

    assert works(kept)
    assert not any(works(list(rest)) for size in range(1, len(kept)) for rest in combinations(kept, size))
