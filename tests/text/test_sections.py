"""Parts of longer texts: functions, methods, and what stands between; the same wherever nothing in them changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.text.document import LineIndex
from risk_lsp.text.structure import LEAST_LINES, WHOLE_LINES, function_parts, sections

LINES = st.sampled_from(
    (
        "",
        "x = 1",
        "    y = 2",
        "@d",
        "def f():",
        "else:",
        ")",
        "# note",
        "\tz",
        "\x0c",
        "漢字",
        "class C:",
        "    def m():",
    )
)
TEXTS = st.lists(LINES, max_size=80).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n", "\r"]).map(lambda end: end.join(lines))
)


def parts(text: str) -> list[str]:
    return [text[part.start : part.end] for part in function_parts(text)]


@given(TEXTS)
def test_parts_are_the_text_without_gaps_and_begin_where_lines_do(text: str) -> None:
    starts = LineIndex(text).starts.tolist()

    assert "".join(parts(text)) == text
    assert all(part.start in starts for part in function_parts(text))


@given(TEXTS)
def test_no_part_but_that_of_an_empty_text_is_empty(text: str) -> None:
    assert all(parts(text)) or text == ""


@pytest.mark.parametrize(
    "expected",
    [
        ["def f():\n    return 1\n\n", "def g():\n    return 2\n"],
        ["import os\nX = 1\n\n", "async def f():\n    pass\n\n", "f()\ng()\n"],
        ["@cached\n@other(\n    1\n)\ndef f():\n    pass\n", "@cached\nclass C:\n    x = 1\n"],
        ["def f(\n    x,\n):\n    return x\n", "# about g\n", "def g():\n    pass\n"],
        ["if A:\n    def f():\n        pass\nelse:\n    def f():\n        pass\n", "def g():\n    pass\n"],
    ],
    ids=["two functions", "what stands around", "decorators", "brackets and comments", "conditional functions"],
)
def test_functions_are_parts_and_so_is_what_stands_between_them(expected: list[str]) -> None:
    assert parts("".join(expected)) == expected


def test_a_method_is_a_part_and_the_first_one_goes_with_the_head_of_the_class() -> None:
    head = "class C:\n    x = 1\n\n    def first(self):\n        def inner():\n            pass\n\n"
    second = "    @property\n    def second(self):\n        return 1\n\n"
    third = "    async def third(self):\n        pass\n"

    assert parts(head + second + third) == [head, second, third]


def test_a_long_run_of_statements_is_read_in_pieces() -> None:
    found = parts("x = (\n    1)\n" * 3 * LEAST_LINES)

    assert len(found) == 6
    assert all(LEAST_LINES <= piece.count("\n") < LEAST_LINES + 2 for piece in found)


@given(TEXTS, TEXTS)
def test_what_stands_in_one_function_changes_no_other_part(before: str, body: str) -> None:
    below = "\ndef after():\n    return 1\n\ny = 2\n"
    changed = "".join(f"    {line}\n" for line in body.split() if not line.startswith("@"))
    first = parts(f"{before}\ndef edited():\n    pass\n{below}")
    second = parts(f"{before}\ndef edited():\n    pass\n{changed}{below}")

    assert [part for part in first if "edited" not in part] == [part for part in second if "edited" not in part]


def test_a_text_of_at_most_fifty_lines_is_one_part() -> None:
    text = "def f():\n    pass\n\n" * 17

    assert len(text.splitlines()) == WHOLE_LINES + 1
    assert [(part.start, part.end) for part in sections(text[: -len("\n\n")])] == [(0, len(text) - 2)]


@given(TEXTS)
def test_a_longer_text_falls_into_its_functions(text: str) -> None:
    longer = text + "\nx = 1" * WHOLE_LINES

    assert sections(longer) == function_parts(longer)
