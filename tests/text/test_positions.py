from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.text.document import Position, PositionEncoding, to_offset, to_position

from .naive import document, encodings, lines_of, offset_of, positions, texts, width

UTF8, UTF16, UTF32 = PositionEncoding.UTF8, PositionEncoding.UTF16, PositionEncoding.UTF32


@given(texts, positions, encodings)
def test_any_position_has_the_offset_of_the_naive_model(
    text: str, position: Position, encoding: PositionEncoding
) -> None:
    assert to_offset(document(text), position, encoding) == offset_of(text, position, encoding)


@given(texts, encodings)
def test_any_offset_comes_back_unless_it_splits_a_terminator(text: str, encoding: PositionEncoding) -> None:
    whole = [offset for offset in range(len(text) + 1) if text[max(offset - 1, 0) : offset + 1] != "\r\n"]
    back = [to_offset(document(text), to_position(document(text), offset, encoding), encoding) for offset in whole]
    assert back == whole


@given(texts, encodings, st.data())
def test_the_character_of_a_position_is_the_width_of_what_stands_before_it_in_its_line(
    text: str, encoding: PositionEncoding, data: st.DataObject
) -> None:
    lines = lines_of(text)
    line = data.draw(st.integers(0, len(lines) - 1))
    column = data.draw(st.integers(0, len(lines[line][0])))
    offset = sum(len("".join(parts)) for parts in lines[:line]) + column
    assert to_position(document(text), offset, encoding) == (line, width(lines[line][0][:column], encoding))


@pytest.mark.parametrize(("encoding", "character"), [(UTF8, 9), (UTF16, 4), (UTF32, 3)])
def test_encodings_count_bytes_utf16_units_and_code_points(encoding: PositionEncoding, character: int) -> None:
    assert to_position(document("é→😀x"), 3, encoding) == (0, character)


@pytest.mark.parametrize(("encoding", "inside"), [(UTF8, [1, 2, 3]), (UTF16, [1])])
def test_a_position_inside_a_character_means_its_start(encoding: PositionEncoding, inside: list[int]) -> None:
    assert {to_offset(document("😀x"), Position(0, character), encoding) for character in inside} == {0}


@pytest.mark.parametrize("encoding", PositionEncoding)
@pytest.mark.parametrize("terminator", ["\n", "\r\n", "\r"])
def test_a_character_past_the_end_of_a_line_means_the_end_before_its_terminator(
    terminator: str, encoding: PositionEncoding
) -> None:
    assert to_offset(document(f"aé{terminator}b"), Position(0, 99), encoding) == 2


@pytest.mark.parametrize("encoding", PositionEncoding)
@pytest.mark.parametrize("text", ["ab", "é\n", "a\nb"])
def test_a_line_past_the_last_one_means_the_end_of_the_text(text: str, encoding: PositionEncoding) -> None:
    assert to_offset(document(text), Position(9, 0), encoding) == len(text)


@pytest.mark.parametrize(("position", "offset"), [(Position(-1, 2), 0), (Position(1, -1), 2)])
def test_negative_numbers_mean_zero(position: Position, offset: int) -> None:
    assert to_offset(document("a\nb"), position, UTF16) == offset


def test_an_offset_inside_a_terminator_gets_the_position_of_the_end_of_the_line() -> None:
    assert to_position(document("ab\r\nc"), 3, UTF16) == (0, 2)


def test_a_form_feed_does_not_start_a_line() -> None:
    assert to_offset(document("a = 1\f# x\nb = 2\n"), Position(1, 0), UTF16) == 10


@pytest.mark.parametrize(("encoding", "character"), [(UTF8, 3), (UTF16, 1), (UTF32, 1)])
def test_a_lone_surrogate_counts_as_the_replacement_character_would(encoding: PositionEncoding, character: int) -> None:
    assert to_position(document("\ud83dx"), 1, encoding) == (0, character)


def test_an_offset_outside_the_text_is_refused() -> None:
    with pytest.raises(IndexError, match="offset 3 is outside a text of 2 characters"):
        to_position(document("ab"), 3, UTF16)
