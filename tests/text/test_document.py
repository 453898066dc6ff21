from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.text.document import Document, LineIndex, Position, PositionEncoding, TextChange, apply_changes

from .naive import changed, document, encodings, full_changes, partial_changes, texts

pytestmark = pytest.mark.usefixtures("small_pieces")

UTF16 = PositionEncoding.UTF16


def edited(text: str, *changes: TextChange, encoding: PositionEncoding = UTF16) -> str:
    return apply_changes(document(text), changes, 2, encoding).text


def insertion(line: int, character: int, text: str) -> TextChange:
    return TextChange(Position(line, character), Position(line, character), text)


@given(texts, st.lists(st.one_of(partial_changes, full_changes), max_size=6), encodings)
def test_the_changes_of_a_notification_give_the_text_of_the_naive_model(
    text: str, changes: list[TextChange], encoding: PositionEncoding
) -> None:
    result = edited(text, *changes, encoding=encoding)
    for change in changes:
        text = changed(text, change, encoding)
    assert result == text


@given(texts, st.lists(st.lists(partial_changes, max_size=3), max_size=4), encodings)
def test_after_any_notifications_the_line_index_is_that_of_the_text(
    text: str, notifications: list[list[TextChange]], encoding: PositionEncoding
) -> None:
    result = document(text)
    for version, changes in enumerate(notifications):
        result = apply_changes(result, changes, version, encoding)
    assert result.lines.starts.tolist() == LineIndex(result.text).starts.tolist()


def test_a_later_change_counts_positions_in_the_text_that_the_earlier_ones_made() -> None:
    assert edited("ab", insertion(0, 1, "\n"), insertion(1, 1, "c")) == "a\nbc"


def test_a_change_without_positions_replaces_everything() -> None:
    assert edited("a\nb", TextChange(None, None, "c\r")) == "c\r"


def test_text_past_the_end_of_a_last_line_without_terminator_is_added_to_it() -> None:
    assert edited("abc", insertion(9, 9, "X")) == "abcX"


def test_an_edit_after_a_form_feed_lands_in_the_line_that_the_client_means() -> None:
    assert edited("a = 1\f# x\nb = 2\n", insertion(1, 0, "# ")) == "a = 1\f# x\n# b = 2\n"


def test_a_range_with_its_ends_swapped_is_taken_the_other_way_round() -> None:
    assert edited("abcd", TextChange(Position(0, 3), Position(0, 1), "")) == "ad"


def test_two_halves_of_a_surrogate_pair_that_an_edit_brings_together_are_one_character() -> None:
    assert edited("\ud83d|\ude00", TextChange(Position(0, 1), Position(0, 2), "")) == "😀"


def test_the_new_document_has_the_new_version() -> None:
    assert apply_changes(document("a"), [insertion(0, 0, "b")], 7, UTF16).version == 7


def test_a_notification_without_changes_still_gives_the_new_version() -> None:
    result = apply_changes(document("a"), [], 7, UTF16)
    assert (result.version, result.text) == (7, "a")


def test_uri_and_language_stay() -> None:
    result = apply_changes(Document("file:///b.rs", 1, "a", "rust"), [insertion(0, 0, "b")], 2, UTF16)
    assert (result.uri, result.language_id) == ("file:///b.rs", "rust")


def test_an_edit_leaves_the_old_snapshot_as_it_was() -> None:
    old = document("a\nb")
    apply_changes(old, [insertion(0, 1, "\n\n")], 2, UTF16)
    assert (old.version, old.text, old.lines.count) == (1, "a\nb", 2)


@pytest.mark.parametrize("field", ["uri", "version", "language_id", "lines"])
def test_a_document_cannot_be_changed(field: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(document("a"), field, None)


def test_a_change_with_only_one_position_is_refused() -> None:
    with pytest.raises(ValueError, match="both a start and an end"):
        TextChange(Position(0, 0), None, "")
