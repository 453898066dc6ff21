from __future__ import annotations

from hypothesis import given

from risk_lsp.text.document import Position, PositionEncoding, Span, TextChange, apply_changes, stripped_line_spans

from .naive import document, lines_of, texts


def test_a_line_span_leaves_out_indentation_and_trailing_white_space() -> None:
    assert stripped_line_spans("if a:\n\treturn b  \r\n") == [Span(0, 5), Span(7, 15), Span(19, 19)]


def test_a_blank_line_has_the_empty_span_at_its_start() -> None:
    assert stripped_line_spans("a\n   \nb") == [Span(0, 1), Span(2, 2), Span(6, 7)]


@given(texts)
def test_each_line_of_any_text_gets_the_span_of_its_stripped_content(text: str) -> None:
    contents = [text[start:end] for start, end in stripped_line_spans(text)]
    assert contents == [content.strip() for content, _ in lines_of(text)]


@given(texts)
def test_a_document_has_the_spans_of_its_text(text: str) -> None:
    edited = apply_changes(document(text), [TextChange(Position(0, 0), Position(0, 0), "")], 2, PositionEncoding.UTF16)
    assert stripped_line_spans(edited) == stripped_line_spans(text)
