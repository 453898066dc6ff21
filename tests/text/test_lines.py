from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.text.document import LineIndex

from .naive import TERMINATORS, lines_of, texts

pytestmark = pytest.mark.usefixtures("small_pieces")


def line_parts(index: LineIndex) -> list[tuple[str, str]]:
    """The content and the terminator of each line, as the index has them."""
    return [
        (index.text[index.start(line) : index.content_end(line)], index.text[index.content_end(line) : index.end(line)])
        for line in range(index.count)
    ]


@pytest.mark.parametrize("terminator", TERMINATORS)
def test_a_line_ends_at_each_terminator(terminator: str) -> None:
    assert line_parts(LineIndex(f"a{terminator}b")) == [("a", terminator), ("b", "")]


@pytest.mark.parametrize("character", [*"\f\v\x1c\x1d\x1e\x85\u2028\u2029"])
def test_no_other_character_ends_a_line(character: str) -> None:
    assert LineIndex(f"a{character}b").count == 1


def test_an_empty_text_has_one_empty_line() -> None:
    assert line_parts(LineIndex("")) == [("", "")]


def test_a_terminator_at_the_end_is_followed_by_an_empty_line() -> None:
    assert line_parts(LineIndex("a\n")) == [("a", "\n"), ("", "")]


@given(texts)
def test_lines_of_any_text_are_those_of_the_naive_model(text: str) -> None:
    assert line_parts(LineIndex(text)) == lines_of(text)


@given(texts)
def test_an_offset_belongs_to_the_line_that_holds_its_character(text: str) -> None:
    expected = [line for line, parts in enumerate(lines_of(text)) for _ in "".join(parts)]
    assert [LineIndex(text).line_of(offset) for offset in range(len(text))] == expected


@given(texts)
def test_the_end_of_the_text_belongs_to_the_last_line(text: str) -> None:
    assert LineIndex(text).line_of(len(text)) == len(lines_of(text)) - 1


def test_exactly_what_python_strips_is_left_out_of_a_stripped_line() -> None:
    """Each character is asked for alone: one before the x of each line."""
    characters = [chr(point) for point in range(0x3010) if chr(point) not in "\r\n"]
    stripped = LineIndex("\n".join(f"{each}x" for each in characters))

    left_out = [first > start for start, first in zip(stripped.starts, stripped.stripped[:, 0], strict=True)]
    assert left_out == [each.isspace() for each in characters]


def test_lines_are_stripped_once() -> None:
    index = LineIndex(" a\n")
    assert index.stripped is index.stripped


@given(texts)
def test_stripped_lines_of_any_text_are_those_of_the_naive_model(text: str) -> None:
    index = LineIndex(text)
    assert [text[start:end] for start, end in index.stripped] == [content.strip() for content, _ in lines_of(text)]


@given(texts, st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), texts), max_size=6))
def test_a_spliced_index_is_that_of_the_new_text(text: str, edits: list[tuple[int, int, str]]) -> None:
    index = LineIndex(text)
    for one, other, replacement in edits:
        start, end = sorted((min(one, len(text)), min(other, len(text))))
        text = text[:start] + replacement + text[end:]
        index = index.splice(start, end, replacement)
    assert (index.text, index.starts.tolist()) == (text, LineIndex(text).starts.tolist())


@given(texts, texts, st.data())
def test_a_slice_of_a_spliced_text_is_that_of_the_whole_text(text: str, replacement: str, data: st.DataObject) -> None:
    index = LineIndex(text).splice(len(text) // 2, len(text), replacement)
    expected = text[: len(text) // 2] + replacement
    start = data.draw(st.integers(0, len(expected)))
    end = data.draw(st.integers(start, len(expected)))
    assert index.slice(start, end) == expected[start:end]


@pytest.mark.parametrize(
    ("text", "edit", "starts"),
    [
        ("a\r\nb", (2, 2, "x"), [0, 2, 4]),
        ("a\rx\nb", (2, 3, ""), [0, 3]),
        ("a\nb", (1, 1, "\r"), [0, 3]),
        ("a\r\nb", (1, 2, ""), [0, 2]),
        ("a\r\nb", (2, 3, ""), [0, 2]),
        ("\nb", (0, 0, "\r"), [0, 2]),
    ],
    ids=["split", "join", "return before", "return removed", "line feed removed", "return at the start"],
)
def test_an_edit_may_make_or_break_a_two_character_terminator(
    text: str, edit: tuple[int, int, str], starts: list[int]
) -> None:
    assert LineIndex(text).splice(*edit).starts.tolist() == starts


@pytest.mark.parametrize("offset", [-1, 3])
def test_an_offset_outside_the_text_is_refused(offset: int) -> None:
    with pytest.raises(IndexError, match=f"offset {offset} is outside a text of 2 characters"):
        LineIndex("ab").line_of(offset)


@pytest.mark.parametrize("line", [-1, 2])
def test_a_line_outside_the_text_is_refused(line: int) -> None:
    with pytest.raises(IndexError, match=f"line {line} is outside a text of 2 lines"):
        LineIndex("a\nb").start(line)


@pytest.mark.parametrize("span", [(-1, 0), (2, 1), (0, 3)])
def test_a_splice_outside_the_text_is_refused(span: tuple[int, int]) -> None:
    with pytest.raises(IndexError, match="is outside a text of 2 characters"):
        LineIndex("ab").splice(*span, "")


def test_line_starts_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        LineIndex("a\nb").starts[0] = 1
