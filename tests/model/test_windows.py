"""A long text is covered by windows that keep every token once, with enough of the text before it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.model.windows import Window, plan_windows

CASES = st.tuples(
    st.integers(0, 400), st.integers(1, 64), st.lists(st.integers(0, 399), max_size=60, unique=True).map(sorted)
)


@given(CASES)
def test_every_token_is_kept_exactly_once_and_in_order(case: tuple[int, int, list[int]]) -> None:
    kept = [token for window in plan_windows(*case) for token in range(window.keep, window.end)]

    assert kept == list(range(case[0]))


@given(CASES)
def test_windows_stay_within_the_text_and_the_context(case: tuple[int, int, list[int]]) -> None:
    token_count, context, _ = case

    for start, keep, end in plan_windows(*case):
        assert 0 <= start <= keep < end <= token_count
        assert end - start <= context


@given(CASES)
def test_every_kept_token_has_half_the_context_to_its_left_where_the_text_has_it(
    case: tuple[int, int, list[int]],
) -> None:
    context = case[1]

    for start, keep, _ in plan_windows(*case):
        assert keep - start >= min(keep, context // 2)


@given(CASES)
def test_every_window_but_the_first_starts_at_a_boundary_if_one_leaves_room(
    case: tuple[int, int, list[int]],
) -> None:
    token_count, context, boundaries = case

    for start, keep, end in plan_windows(*case)[1:]:
        latest = keep - context // 2
        earliest = token_count - context if end == token_count else latest - context // 4
        if any(earliest <= boundary <= latest for boundary in boundaries):
            assert start in boundaries


def test_a_text_that_fits_is_one_window() -> None:
    assert plan_windows(100, 100, [0, 50]) == [Window(0, 0, 100)]


def test_the_last_window_reaches_back_as_far_as_it_can() -> None:
    assert plan_windows(110, 100)[-1] == Window(10, 100, 110)


@given(CASES)
def test_every_window_but_the_last_keeps_at_least_a_quarter_of_the_context(case: tuple[int, int, list[int]]) -> None:
    context = case[1]

    for _, keep, end in plan_windows(*case)[:-1]:
        assert end - keep >= context / 4
