"""Each change leaves what a program does alone."""

from __future__ import annotations

import ast
import textwrap

import pytest

from risk_lsp.lab.evaluation.as_met.invariance import harmless_changes

PROGRAM = textwrap.dedent(
    '''
    """Sums and such."""
    from __future__ import annotations

    WORDS = """
        indented in its string
    """


    def total(values, start=0):  # adds up
        """The sum."""
        result = start
        for value_ in values:
            # one after the other
            if value_ > 0:
                result += value_
            else:
                result += int(
                    "-1"
                )
        return f"{result}{WORDS}"
    '''
).lstrip()
CHANGES = {change.name: change for change in harmless_changes()}
OTHER_TREE = {"local names", "logger line"}


def changed(name: str, text: str = PROGRAM) -> str:
    found = CHANGES[name].apply(text)
    assert found is not None
    return found


@pytest.mark.parametrize("name", sorted(CHANGES.keys() - OTHER_TREE))
def test_the_syntax_tree_stays(name: str) -> None:
    text = changed(name)

    assert text != PROGRAM
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(PROGRAM))


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_the_program_still_does_the_same(name: str) -> None:
    results = []
    for text in (PROGRAM, changed(name)):
        space: dict[str, object] = {}
        exec(compile(text, "<program>", "exec"), space)
        results.append(space["total"]([3, -1, 4]))  # type: ignore[operator]

    assert results[0] == results[1]


def test_indentation_within_a_string_is_not_touched() -> None:
    assert "    indented in its string\n" in changed("tabs")
    assert "\tresult = start\n" in changed("tabs")


def test_other_names_keep_parameters_and_change_what_the_function_alone_knows() -> None:
    text = changed("local names")

    assert "def total(values, start=0)" in text
    assert "result" not in text
    assert "value_" not in text


def test_a_name_that_is_a_parameter_elsewhere_stays() -> None:
    text = "def f(size):\n    return size\n\n\ndef g():\n    size = 1\n    other = f(size=size)\n    return other\n"

    assert "f(size=size)" in changed("local names", text)


def test_a_header_goes_behind_the_shebang_and_the_cookie() -> None:
    head = "#!/usr/bin/python\n# -*- coding: utf-8 -*-\n"

    assert changed("licence header", head + "x = 1\n").startswith(head + "# Copyright")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tabs", "if x:\n\ty = 1\n"),
        ("two spaces", "if x:\n  y = 1\n"),
        ("comments removed", "x = 1\n"),
        ("shebang", "#!/bin/python\nx = 1\n"),
        ("local names", "x = 1\n"),
        ("local names", "def f():\n    x = 1\n    return locals()\n"),
        ("logger line", "x = 1\n"),
    ],
)
def test_there_may_be_nothing_to_change(name: str, text: str) -> None:
    assert CHANGES[name].apply(text) is None


def test_the_changes_have_names_of_their_own() -> None:
    assert len(CHANGES) == len(harmless_changes()) >= 11
