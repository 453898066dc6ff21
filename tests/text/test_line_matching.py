"""Which line was which before an edit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.text import tracking as line_matching
from risk_lsp.text.document import Document
from risk_lsp.text.tracking import match_lines

LINES = st.lists(st.sampled_from(["a", "b", "c", "d", ""]), max_size=12)


def matched(before: str, after: str) -> tuple[list[int], int]:
    """For each line (a letter each) the line that it was, and how many are above the edit."""
    match = match_lines(of("\n".join(before)), of("\n".join(after)))
    return match.old.tolist(), match.above


def of(text: str) -> Document:
    return Document("file:///a", 1, text, "python")


def test_lines_around_an_insertion_match() -> None:
    assert matched("abcd", "abxycd") == ([0, 1, -1, -1, 2, 3], 2)


def test_lines_around_a_deletion_match() -> None:
    assert matched("abcd", "ad") == ([0, 3], 1)


def test_a_rewritten_line_is_the_one_in_its_place() -> None:
    assert matched("abcd", "abxd") == ([0, 1, 2, 3], 2)


def test_of_several_edits_the_lines_in_between_match() -> None:
    assert matched("abcdef", "axbcdf") == ([0, -1, 1, 2, 3, 5], 1)


def test_a_large_rewritten_part_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_matching, "_PAIRS_AT_MOST", 3)
    assert matched("abcd", "axbyd") == ([0, -1, -1, -1, 3], 1)


@given(LINES)
def test_a_text_matches_itself(lines: list[str]) -> None:
    match = match_lines(of("\n".join(lines)), of("\n".join(lines)))
    assert match.old.tolist() == list(range(max(len(lines), 1)))
    assert match.above == max(len(lines), 1)


@given(LINES, LINES)
def test_matches_rise_and_the_lines_above_are_the_same(before: list[str], after: list[str]) -> None:
    match = match_lines(of("\n".join(before)), of("\n".join(after)))
    known = [line for line in match.old.tolist() if line >= 0]
    assert known == sorted(set(known))
    assert before[: match.above] == after[: match.above] or not before or not after
