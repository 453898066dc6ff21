"""A long text is covered by windows that keep every token once, with enough of the text before it."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from risk_lsp.model.window_runs import Window, plan_windows

Case = tuple[NDArray[np.int32], int, list[int]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Tokens, a context and sorted boundaries."""
    token_ids = draw(st.lists(st.integers(0, 9), max_size=400))
    boundaries = draw(st.lists(st.integers(0, 399), max_size=60, unique=True).map(sorted))
    return np.array(token_ids, dtype=np.int32), draw(st.integers(1, 64)), boundaries


@given(cases())
def test_every_token_is_kept_exactly_once_and_in_order(case: Case) -> None:
    kept = [token for window in plan_windows(*case) for token in range(window.keep, window.end)]

    assert kept == list(range(len(case[0])))


@given(cases())
def test_windows_stay_within_the_text_and_the_context(case: Case) -> None:
    token_ids, context, _ = case

    for start, keep, end in plan_windows(*case):
        assert 0 <= start <= keep < end <= len(token_ids)
        assert end - start <= context


@given(cases())
def test_every_kept_token_has_a_quarter_of_the_context_to_its_left_where_the_text_has_it(case: Case) -> None:
    context = case[1]

    for start, keep, _ in plan_windows(*case):
        assert keep - start >= min(keep, context // 4)


@given(cases())
def test_every_window_but_the_first_starts_at_a_boundary_if_one_leaves_room(case: Case) -> None:
    _, context, boundaries = case

    for start, keep, _ in plan_windows(*case)[1:]:
        if any(keep - 3 * context // 8 <= boundary <= keep - context // 4 for boundary in boundaries):
            assert start in boundaries


@given(cases())
def test_windows_keep_from_a_boundary_if_one_is_in_reach(case: Case) -> None:
    _, context, boundaries = case

    for _, keep, end in plan_windows(*case)[:-1]:
        first, last = (keep + max(1, context // 4), keep + 5 * context // 8) if keep else (context // 2, context)
        if context >= 2 and any(first <= boundary <= last for boundary in boundaries):
            assert end in boundaries


def test_a_text_that_fits_is_one_window() -> None:
    assert plan_windows(np.arange(100), 100, [0, 50]) == [Window(0, 0, 100)]


@settings(max_examples=30)
@given(st.integers(0, 19_000), st.integers(0, 30), st.lists(st.integers(0, 300), max_size=30))
def test_an_edit_of_a_long_text_leaves_most_of_its_windows_as_they_were(
    place: int, removed: int, inserted: list[int]
) -> None:
    random = np.random.default_rng(1)
    before = random.integers(0, 300, 20_000)
    after = np.concatenate([before[:place], np.array(inserted, dtype=np.int64), before[place + removed :]])
    boundaries = np.flatnonzero(random.random(20_000) < 0.1)
    shift = len(inserted) - removed
    moved = np.concatenate([boundaries[boundaries <= place], boundaries[boundaries >= place + removed] + shift])

    known = {contents(before, window) for window in plan_windows(before, 1024, boundaries.tolist())}
    windows = plan_windows(after, 1024, sorted(set(moved.tolist())))

    assert sum(contents(after, window) not in known for window in windows) <= 8 < 40 < len(windows)


def contents(token_ids: NDArray[np.int64], window: Window) -> tuple[int, bytes]:
    return window.keep - window.start, token_ids[window.start : window.end].tobytes()
