"""What a stream can show, and code that cannot trick a terminal."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.report.wording import printable, shows_unicode, wants_color, write_all


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm"}, True),
        ({}, True),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
    ],
)
def test_colour_is_for_terminals_whose_owner_did_not_refuse_it(environment: dict[str, str], expected: bool) -> None:
    ours, theirs = os.openpty()
    with open(theirs, "w", encoding="utf-8") as terminal:
        assert wants_color(terminal, environment) is expected
    os.close(ours)


def test_a_file_gets_no_colour() -> None:
    assert not wants_color(io.StringIO(), {"TERM": "xterm"})


@pytest.mark.parametrize(
    ("encoding", "expected"), [("utf-8", True), ("UTF8", True), ("ascii", False), ("cp1252", False)]
)
def test_only_unicode_encodings_get_blocks_and_lines(encoding: str, expected: bool) -> None:
    assert shows_unicode(io.TextIOWrapper(io.BytesIO(), encoding=encoding)) is expected


def test_what_an_encoding_lacks_is_escaped() -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii", write_through=True) as stream:
        write_all(stream, "x = 'é█'")
        assert raw.getvalue() == b"x = '\\xe9\\u2588'"


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs", "C"]), max_size=30))
def test_nothing_printable_can_move_the_cursor_or_turn_the_text(code: str) -> None:
    shown = printable(code)
    assert not any(ord(each) < 32 or 0x7F <= ord(each) < 0xA0 or 0x202A <= ord(each) <= 0x202E for each in shown)


def test_ordinary_code_is_shown_as_it_is() -> None:
    assert printable("x = 'naïve 例 🙂'  # <b>") == "x = 'naïve 例 🙂'  # <b>"
