"""Programs as people meet them: labels stay with what they name."""

from __future__ import annotations

import random
from dataclasses import replace

from risk_lsp.lab.evaluation.as_met.conditions import LONGEST, SHORTEST, bare, in_module, with_question
from risk_lsp.lab.training.labelled_programs import LabelledProgram
from tests.lab.training.makers import program

GIVEN = '# Adds.\nimport math\n\ndef add(a, b):\n    """Add two numbers,\n    whatever they are."""\n'
BODY = "    # here\n    return a - b\n"
TEXT = GIVEN + BODY
PLACE = TEXT.index("-")
PROGRAM = replace(program(TEXT, scored=(len(GIVEN), len(TEXT)), edited=[(PLACE, PLACE + 1)]), asked="Add two numbers.")
FUNCTIONS = ["def one():\n    x = 1\n    return x\n", "def two():\n    y = 2\n    return y\n"]


def parts(shown: LabelledProgram) -> tuple[str, list[str]]:
    """What a model wrote, and what a fix touches."""
    return shown.text[slice(*shown.scored)], [shown.text[slice(*span)] for span in shown.edited or ()]


def test_without_the_statement_only_code_stands_before_what_a_model_wrote() -> None:
    shown = bare(PROGRAM)

    assert shown.text == "import math\ndef add(a, b):\n" + BODY
    assert parts(shown) == (BODY, ["-"])


def test_the_statement_is_a_docstring_at_the_top_and_nowhere_else() -> None:
    shown = with_question(PROGRAM)

    assert shown is not None
    assert shown.text == '"""Add two numbers.\n"""\nimport math\ndef add(a, b):\n' + BODY
    assert parts(shown) == (BODY, ["-"])


def test_words_that_were_given_are_the_statement_where_no_record_says_it() -> None:
    assert with_question(replace(PROGRAM, asked="")) == replace(PROGRAM, asked="")


def test_what_was_asked_may_be_unknown() -> None:
    assert with_question(program("x = 1\n")) is None


def test_in_a_module_the_program_stands_among_functions() -> None:
    for seed in range(20):
        shown, place = in_module(PROGRAM, FUNCTIONS, random.Random(seed))

        assert shown.text[slice(*place)] == TEXT
        assert parts(shown) == (BODY, ["-"])
        assert SHORTEST <= shown.text.count("\n") <= LONGEST
        assert shown.text.startswith("def ")
        assert shown.text[place.end :].lstrip().startswith("def ")


def test_a_long_program_has_a_function_on_either_side() -> None:
    long = program("x = 1\n" * 1_200)
    shown, place = in_module(long, FUNCTIONS, random.Random(0))

    assert shown.text[: place.start].strip() in map(str.strip, FUNCTIONS)
    assert shown.text[place.end :].strip() in map(str.strip, FUNCTIONS)
