"""How much is expected at a place of a program, and where a text that is written there is over."""

from __future__ import annotations

import pytest

from risk_lsp.errors import BadInput
from risk_lsp.text.extents import (
    EndOfWriting,
    Extent,
    body_place,
    extent_at,
    first_indentation,
    writing_place,
    written_from,
)

BODY = "def mean(values):\n    total = sum(values)\n    |"


def place_of(marked: str) -> tuple[str, int]:
    """A text without its mark, and where that was."""
    return marked.replace("|", ""), marked.index("|")


@pytest.mark.parametrize(
    ("marked", "extent"),
    [
        ("def mean(values):\n    total = |", "line"),
        ("def mean(values):\n    |return total", "line"),
        ("def mean(values):|", "function"),
        ("def mean(values):\n    |", "function"),
        ('def mean(values):\n    """The mean.\n\n    Of numbers.\n    """\n    |', "function"),
        ("class Stack:\n    def push(self, item):\n        # puts it on top\n        |", "function"),
        (BODY, "block"),
        ("for each in values:\n    |", "block"),
        ("|", "block"),
        ("total = 0\n|", "block"),
    ],
)
def test_what_is_expected_follows_from_what_stands_before(marked: str, extent: Extent) -> None:
    assert extent_at(*place_of(marked), "python") == extent


def test_in_other_languages_a_begun_line_is_finished_and_else_a_paragraph_written() -> None:
    assert extent_at("let x = ", 8, "javascript") == "line"
    assert extent_at("function f() {\n  ", 17, "javascript") == "block"


def kept(marked: str, written: str, extent: Extent, language_id: str = "python") -> str | None:
    """What is kept of a text written at the mark; None if it is not over. The blanks before the mark are written."""
    text, place = place_of(marked)
    start = written_from(text, place)
    end = EndOfWriting(text, start, place, extent, language_id)(text[start:place] + written)
    return None if end is None else (text[start:place] + written)[place - start : end]


def test_a_line_is_over_at_its_end() -> None:
    assert kept("def mean(values):\n    return |", "sum(values)", "line") is None
    assert kept("def mean(values):\n    return |", "sum(values) \n", "line") == "sum(values)"


def test_a_line_that_is_begun_below_ends_there() -> None:
    assert kept("total = 0\n|", "\nfor each in values:\n", "line") == "\nfor each in values:"


def test_the_body_of_a_function_goes_on_over_blank_lines_until_a_line_is_less_deep() -> None:
    written = "first = 1\n\n    return first\n\n\ndef other"
    assert kept("def mean(values):\n    |", written[: written.index("def")], "function") is None
    assert kept("def mean(values):\n    |", written, "function") == "first = 1\n\n    return first"


def test_a_body_behind_a_header_begins_on_the_next_line() -> None:
    assert kept("def mean(values):|", "\n    return 1\nx", "function") == "\n    return 1"


def test_of_a_body_that_is_no_deeper_than_its_header_nothing_is_kept() -> None:
    assert kept("    def mean(self):|", "\n    def other(self):\n", "function") == ""


def test_a_block_ends_at_a_blank_line() -> None:
    assert kept(BODY, "count = len(values)\n    return total / count\n\n", "block") == (
        "count = len(values)\n    return total / count"
    )


def test_a_block_ends_before_a_line_that_is_less_deep() -> None:
    assert kept("if values:\n    |", "total = 1\nelse:\n", "block") == "total = 1"


@pytest.mark.parametrize(
    "written",
    [
        "values = [\n1,\n\n2,\n]\n",
        'text = """\nno margin\n\n"""\n',
        "total = first + \\\nsecond\n",
    ],
)
def test_lines_within_brackets_and_strings_end_nothing(written: str) -> None:
    assert kept(BODY, written, "function") is None
    assert kept(BODY, written + "x", "function") == written.rstrip()


def test_a_bracket_that_was_open_before_counts() -> None:
    assert kept("total = sum(\n    [\n|", "1,\n2,\n\n3,\n", "block") is None


def test_outside_of_python_a_paragraph_ends_at_a_blank_line() -> None:
    assert kept("function f() {\n  |", "return 1;\n\n", "block", "javascript") == "return 1;"


def test_blanks_before_the_place_are_left_to_be_written() -> None:
    text, place = place_of("def mean(values):\n    |")

    assert written_from(text, place) == place - 4
    assert written_from("x =\t 1", 6) == 6


@pytest.mark.parametrize(
    ("program", "replaced"),
    [
        ('def f(x):\n    """Doc."""\n\n\ny = 1\n', ""),
        ("def f(x):\n    pass\n", "\n    pass"),
        ('class C:\n    def f(self):\n        """Doc."""\n        ...\n', "\n        ..."),
        ("def f(x):\n    # not yet\n    raise NotImplementedError\n", "\n    raise NotImplementedError"),
    ],
)
def test_a_body_is_written_behind_the_docstring_in_place_of_what_stands_for_it(program: str, replaced: str) -> None:
    place = body_place(program, program.index("def f"))

    assert place is not None
    assert program[place.start : place.end] == replaced
    assert program[: place.start].rstrip().endswith(("(x):", '"""', "yet"))


@pytest.mark.parametrize("program", ["def f(x):\n    return x\n", "def f(x): return x\n", "f = 1  # def f\n"])
def test_where_there_is_a_body_or_no_function_none_is_written(program: str) -> None:
    assert body_place(program, program.index("f")) is None


def test_a_line_that_is_named_is_written_on_at_its_end() -> None:
    assert writing_place("x = 1\ny = \n", 2, "python") == ((10, 10), "line")
    assert writing_place("def f():\n    pass\n", 1, "python") == ((8, 17), "function")
    with pytest.raises(BadInput, match="none with the number 9"):
        writing_place("x = 1\n", 9, "python")


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("def f():", "\n    "),
        ("class C:\n    def f(self):", "\n        "),
        ("class C:\n\tdef f(self):", "\n\t\t"),
        ('def f():\n    """One."""', "\n    "),
        ('def f():\n\t"""One."""', "\n\t"),
        ("def f():\n", ""),
        ("def f():\n    ", ""),
    ],
)
def test_a_body_begins_on_a_line_of_its_own_with_its_indentation(text: str, begins: str) -> None:
    assert first_indentation(text, len(text)) == begins
