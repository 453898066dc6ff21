"""Spans as people write them on a command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.errors import BadInput
from risk_lsp.report.text_report import parse_span
from risk_lsp.text.document import LineIndex, stripped_line_spans

TEXT = "one\n  two\r\n\nthree"


def cut(argument: str) -> str:
    span = parse_span(argument, TEXT)
    return TEXT[span.start : span.end]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("0-3", "one"),
        ("4-4", ""),
        ("0-17", TEXT),
        ("2:3-2:6", "two"),
        ("1:1-2:6", "one\n  two"),
        ("1:4-2:1", "\n"),
        ("4:6-4:6", ""),
        ("L2", "two"),
        ("l1-l2", "one\n  two"),
        ("L2-4", "two\r\n\nthree"),
        ("L3", ""),
    ],
)
def test_characters_positions_and_lines_are_understood(argument: str, expected: str) -> None:
    assert cut(argument) == expected


@given(st.text(st.sampled_from("ab \n\r"), max_size=20))
def test_a_line_is_the_span_that_is_shown_for_it(text: str) -> None:
    for line, span in enumerate(stripped_line_spans(text)):
        if span.start < span.end:
            assert parse_span(f"L{line + 1}", text) == span


@given(st.text(st.sampled_from("ab \n\r"), max_size=20), st.data())
def test_characters_and_positions_say_the_same(text: str, data: st.DataObject) -> None:
    lines = LineIndex(text)
    start = data.draw(st.integers(0, lines.content_end(0)))
    end = data.draw(st.integers(start, lines.content_end(0)))
    assert parse_span(f"1:{start + 1}-1:{end + 1}", text) == parse_span(f"{start}-{end}", text)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("12", "is not a span"),
        ("a-b", "is not a span"),
        ("1:2-3", "is not a span"),
        ("-1-3", "is not a span"),
        ("0-18", "character 18 is outside"),
        ("5-3", "ends before it starts"),
        ("L4-L2", "ends before it starts"),
        ("L0", "no line 0"),
        ("L5", "no line 5"),
        ("1:5-2:1", "line 1 has no column 5"),
        ("1:0-2:1", "line 1 has no column 0"),
    ],
)
def test_what_the_text_does_not_have_is_refused_with_what_it_has(argument: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        parse_span(argument, TEXT)
    assert caught.value.hint
