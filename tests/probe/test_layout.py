"""Where tokens stand, from the text and the characters they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.probe.layout import LAYOUT, OFF_LINE, TokenLayout, token_layout
from risk_lsp.text.document import Span

TEXT = "def f():\n\n    return 1\n"
TOKENS = [(0, 3), (3, 5), (5, 8), (8, 10), (10, 14), (14, 20), (20, 22), (22, 23)]


def layout_of(text: str, tokens: list[tuple[int, int]]) -> TokenLayout:
    spans = np.array(tokens, dtype=np.int32).reshape(-1, 2)
    return token_layout(text, spans[:, 0], spans[:, 1])


def test_lines_are_numbered_without_the_blank_ones_and_line_breaks_are_on_none() -> None:
    layout = layout_of(TEXT, TOKENS)

    assert layout.line.tolist() == [0, 0, 0, OFF_LINE, OFF_LINE, 1, 1, OFF_LINE]
    assert layout.line_count == 2


def test_a_token_knows_its_lines_number_from_both_ends_its_indentation_and_the_characters_around_it() -> None:
    column = layout_of(TEXT, TOKENS).columns[6]

    expected = [np.log(2), 0, 1 / 2, 4 / 8, np.log(9), np.log(7), 0, np.log(3)]
    assert column.tolist() == pytest.approx(expected, abs=1e-6)


def test_off_the_lines_there_is_no_place() -> None:
    assert not layout_of(TEXT, TOKENS).columns[3].any()


def test_some_of_the_tokens_stand_where_they_stand_among_all() -> None:
    np.testing.assert_array_equal(layout_of(TEXT, TOKENS[5:7]).columns, layout_of(TEXT, TOKENS).columns[5:7])


def test_beyond_two_hundred_lines_numbers_stay_what_they_are_there() -> None:
    text = "x\n" * 1000
    columns = layout_of(text, [(600, 601), (602, 603)]).columns

    assert columns[0, 0] == columns[1, 0] == pytest.approx(np.log1p(200))


@given(st.text(alphabet="ab \t\r\n\f\u2028\U0001f40d", max_size=40))
def test_every_text_has_a_layout_of_finite_numbers(text: str) -> None:
    layout = layout_of(text, [(place, place + 1) for place in range(len(text))])

    assert layout.columns.shape == (len(text), LAYOUT)
    assert np.isfinite(layout.columns).all()
    assert ((layout.line >= OFF_LINE) & (layout.line < max(layout.line_count, 1))).all()


@given(
    st.lists(st.sampled_from(["def f():\n    return 1\n\n", "x = (\n  2)\r\n", "\n", "é = 3"]), min_size=1, max_size=6)
)
def test_in_a_part_tokens_stand_as_if_it_was_all_there_is(pieces: list[str]) -> None:
    pieces = [piece if piece.endswith("\n") else piece + "\n" for piece in pieces]
    text, ends = "".join(pieces), np.cumsum([len(piece) for piece in pieces])
    parts = [Span(int(end) - len(piece), int(end)) for piece, end in zip(pieces, ends, strict=True)]
    starts = np.arange(0, len(text), 3)
    tokens = starts, np.minimum(starts + 3, len(text))

    layout = token_layout(text, *tokens, parts)

    lines = 0
    for number, part in enumerate(parts):
        inside = (starts >= part.start) & (starts < part.end)
        own = [edges[inside] - part.start for edges in tokens]
        alone = token_layout(text[part.start : part.end], own[0], np.minimum(own[1], part.end - part.start))
        np.testing.assert_array_equal(layout.columns[inside], alone.columns)
        np.testing.assert_array_equal(layout.part[inside], number)
        on_line = alone.line != OFF_LINE
        np.testing.assert_array_equal(layout.line[inside][on_line], alone.line[on_line] + lines)
        assert layout.line_part.tolist().count(number) == alone.line_count
        lines += alone.line_count
