"""What becomes of accepted lines: what counts as an edit, and what does not."""

from __future__ import annotations

import pytest

from risk_lsp.personal.line_fates import Fate, fates_of, statements_of

ACCEPTED = """def mean(values):
    total = sum(values)
    count = len(values)
    if count == 0:
        raise ValueError("no values")
    return total / count
"""


def fates(now: str, accepted: str = ACCEPTED, elsewhere: str = "", language: str = "python") -> str:
    found = fates_of(*(statements_of(text, language) for text in (accepted, now, elsewhere)))
    return "".join(fate.value for _, fate in sorted(found.items()))


def test_what_stays_is_kept() -> None:
    assert fates(ACCEPTED) == "kkkkkk"


def test_a_word_that_changes_makes_its_line_edited() -> None:
    assert fates(ACCEPTED.replace("count == 0", "count < 1")) == "kkkekk"


def test_a_line_that_goes_is_deleted() -> None:
    assert fates(ACCEPTED.replace("    count = len(values)\n", "")) == "kkdkkk"


def test_a_line_that_comes_changes_no_other() -> None:
    assert fates(ACCEPTED.replace("    if count", "    log(count)\n    if count")) == "kkkkkk"


def test_of_a_statement_over_several_lines_only_those_that_changed_are_edited() -> None:
    text = "plot(\n    values,\n    color=RED,\n    width=2,\n)\n"
    assert fates(text.replace("RED", "BLUE"), text) == "kkekk"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = f(a, b)\n", "x = f(\n    a,\n    b,\n)\n"),
        ("x = f(a)\n", "x = f(\n    a,\n)\n"),
        ("x = a + b\n", "x = (\n    a\n    + b\n)\n"),
        ("if a and b:\n    c()\n", "if (\n    a\n    and b\n):\n    c()\n"),
        ("x = {'a': 1}\n", 'x = {"a": 1}\n'),
        ("x=1\n", "x = 1  # one\n"),
        ("x = 1\r\n", "\n\nx = 1\n"),
        ("def f():\n  return 1\n", "def f():\n    return 1\n"),
        ("x = 1\n", "# why\nx = 1\n"),
    ],
)
def test_layout_quotes_and_comments_are_no_edits(before: str, after: str) -> None:
    assert set(fates(after, before)) == {"k"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = (a + b) * c\n", "x = a + b * c\n"),
        ("x = (a,)\n", "x = (a)\n"),
        ("x = 'a'\n", "x = f'a'\n"),
    ],
)
def test_brackets_commas_and_prefixes_that_mean_something_are_edits(before: str, after: str) -> None:
    assert fates(after, before) == "e"


def test_a_name_that_becomes_a_new_one_everywhere_was_renamed() -> None:
    assert fates(ACCEPTED.replace("count", "how_many")) == "kkkkkk"


def test_a_name_that_becomes_one_that_was_there_is_an_edit() -> None:
    assert fates(ACCEPTED.replace("total / count", "total / values")) == "kkkkke"


def test_a_name_that_becomes_another_one_in_one_place_is_an_edit() -> None:
    assert fates(ACCEPTED.replace("count == 0", "size == 0")) == "kkkekk"


def test_a_line_that_moves_is_kept() -> None:
    total = "    total = sum(values)\n"
    moved = ACCEPTED.replace(total, "").replace("    return", f"{total}    return")
    assert fates(moved) == "kkkkkk"


def test_lines_that_move_to_another_text_are_kept() -> None:
    first = ACCEPTED.splitlines(keepends=True)
    assert fates("".join(first[:3]), elsewhere="".join(first[3:])) == "kkkkkk"


def test_a_line_that_moves_out_of_its_block_is_edited() -> None:
    before = "for a in b:\n    c(a)\n    return a\n"
    assert fates(before.replace("    return", "return"), before) == "kke"


def test_lines_that_a_new_header_moves_into_its_block_are_kept() -> None:
    assert fates("a(1)\nif x:\n    b(2)\nc(3)\n", "a(1)\nb(2)\nc(3)\n") == "kkk"


def test_a_function_that_becomes_a_method_is_kept() -> None:
    method = "class A:\n" + "".join(f"    {line}" for line in ACCEPTED.splitlines(keepends=True))
    assert fates(method) == "kkkkkk"


def test_in_other_languages_words_are_compared_line_by_line() -> None:
    assert fates("let  x = 1;\nlet y = 3;\n", "let x = 1;\nlet y = 2;\n", language="javascript") == "ke"


def test_of_large_texts_equal_statements_are_found() -> None:
    before = "".join(f"value_{number} = {number}\n" for number in range(400))
    assert fates(before.replace("= 7\n", "= 8\n"), before).count(Fate.DELETED.value) == 1
