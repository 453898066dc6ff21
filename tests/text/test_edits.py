"""Edits in offsets, and spans that move with them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.text.document import Document, Position, PositionEncoding, Span, TextChange
from risk_lsp.text.tracking import Splice, by_lines, edit_of, moved_spans

from .naive import texts

UTF16 = PositionEncoding.UTF16
LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\r\n", "\n"]), max_size=10).map("".join)


def document(text: str) -> Document:
    return Document("file:///a", 1, text, "python")


def applied(text: str, *edits: Splice) -> str:
    for start, end, removed, inserted in edits:
        assert text[start:end] == removed
        text = text[:start] + inserted + text[end:]
    return text


@given(texts, texts)
def test_a_replaced_text_is_cut_down_to_what_differs(before: str, after: str) -> None:
    edit = edit_of(document(before), TextChange(None, None, after), UTF16)
    assert applied(before, edit) == after
    assert not edit.removed or not edit.inserted or edit.removed[0] != edit.inserted[0]
    assert not edit.removed or not edit.inserted or edit.removed[-1] != edit.inserted[-1]


def test_a_change_counts_in_the_clients_encoding_and_may_run_backwards() -> None:
    change = TextChange(Position(0, 4), Position(0, 2), "x")
    assert edit_of(document("🐍🐍b"), change, UTF16) == Splice(1, 2, "🐍", "x")


@given(LINES, LINES)
def test_an_edit_by_lines_comes_to_the_same(before: str, after: str) -> None:
    edit = Splice(0, len(before), before, after)
    assert applied(before, *by_lines(edit)) == after


def test_lines_that_stay_are_not_part_of_an_edit_by_lines() -> None:
    parts = by_lines(Splice(5, 11, "a\nb\nc\n", "x\nb\ny\nc\n"))
    assert parts == [Splice(9, 9, "", "y\n"), Splice(5, 7, "a\n", "x\n")]


def test_a_span_grows_and_shrinks_with_edits_inside_of_it() -> None:
    assert moved_spans([Span(2, 6)], Splice(3, 4, "x", "yyy")) == [Span(2, 8)]
    assert moved_spans([Span(2, 6)], Splice(2, 5, "xxx", "")) == [Span(2, 3)]


def test_a_span_moves_with_edits_before_it_and_not_with_those_behind_it() -> None:
    assert moved_spans([Span(2, 6)], Splice(2, 2, "", "yy")) == [Span(4, 8)]
    assert moved_spans([Span(2, 6)], Splice(6, 6, "", "yy")) == [Span(2, 6)]


def test_a_span_is_cut_off_where_an_edit_reaches_into_it() -> None:
    assert moved_spans([Span(2, 6)], Splice(0, 4, "xxxx", "y")) == [Span(1, 3)]
    assert moved_spans([Span(2, 6)], Splice(4, 8, "xxxx", "y")) == [Span(2, 4)]


def test_a_span_that_is_replaced_is_gone() -> None:
    assert moved_spans([Span(2, 6)], Splice(2, 6, "xxxx", "yyyy")) == []
    assert moved_spans([Span(2, 6)], Splice(0, 9, "x" * 9, "y")) == []


@given(texts, st.data())
def test_a_spans_characters_outside_of_the_edit_stay_in_it(text: str, data: st.DataObject) -> None:
    offsets = st.integers(0, len(text))
    start, end = sorted((data.draw(offsets), data.draw(offsets)))
    one, two = sorted((data.draw(offsets), data.draw(offsets)))
    edit = Splice(start, end, text[start:end], "NEW")
    after = applied(text, edit)
    left = "".join(text[place] for place in range(one, two) if not start <= place < end)
    (moved, *_) = [*moved_spans([Span(one, two)], edit), Span(0, 0)]
    assert after[moved.start : moved.end].replace("NEW", "") == left.replace("NEW", "")
