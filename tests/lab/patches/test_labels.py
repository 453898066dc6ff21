"""Labelled programs: what a record says about a program and its patch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from risk_lsp.edits.hunks import Difference, apply_hunks, size_of
from risk_lsp.edits.lexemes import LineAligner, read_code
from risk_lsp.lab.patches.labels import labelled_record
from risk_lsp.lab.patches.programs import Sample
from risk_lsp.lab.patches.search import Patch
from risk_lsp.sandbox.verdicts import Problem

PRELUDE = "from typing import *\n\n"
PROGRAM = "def f(x):\n    y = x + 1  # next\n\n    # done\n    return y\n"
FIXED = "def f(x):\n    y = x - 1\n    y = abs(y)\n    return y\n"
PROBLEM = Problem("Own/1", "own", "Own/1", "Count down.", None, "append", "", None, "MIT")
SAMPLE = Sample("Own/1", "own", "Own/1", "tiny", PROGRAM, 0, "full", None, False, False, 3, "made up")


def patch_of(program: str, given: int = 0) -> Patch:
    hunks = tuple(Difference(read_code(program), read_code(FIXED), given, LineAligner()).hunks())
    return Patch(apply_hunks(program, hunks), hunks, size_of(hunks), "passing program")


def test_spans_point_into_the_text_that_shows_what_was_asked() -> None:
    record = labelled_record(PROBLEM, SAMPLE, passed=False, patch=patch_of(PROGRAM))

    assert record["text"] == f'"""Count down.\n"""\n{PROGRAM}'
    assert record["text"][slice(*record["scored"])] == PROGRAM
    assert [record["text"][slice(*span)] for span in record["edited"]] == ["+"]


def test_a_prelude_is_left_out_of_the_text() -> None:
    problem = replace(PROBLEM, prelude=PRELUDE)
    sample = replace(SAMPLE, program=PRELUDE + PROGRAM, prompt_lines=2)
    record = labelled_record(problem, sample, passed=False, patch=patch_of(PRELUDE + PROGRAM, len(PRELUDE)))

    assert PRELUDE not in record["text"]
    assert [record["text"][slice(*span)] for span in record["edited"]] == ["+"]


def test_hunks_applied_to_the_text_give_the_fixed_program() -> None:
    record = labelled_record(PROBLEM, SAMPLE, passed=False, patch=patch_of(PROGRAM))
    text = record["text"]
    for start, end, replacement in reversed(record["patch"]["hunks"]):
        text = text[:start] + replacement + text[end:]

    assert text.endswith(record["patch"]["fixed"])


def test_shares_count_code_that_the_model_wrote() -> None:
    described = labelled_record(PROBLEM, SAMPLE, passed=False, patch=patch_of(PROGRAM))["patch"]

    assert (described["lines"], described["lines_touched"]) == (3, 1)
    assert (described["tokens"], described["tokens_touched"]) == (13, 1)


def test_what_is_unknown_is_null_and_what_passed_has_no_edit() -> None:
    assert labelled_record(PROBLEM, SAMPLE, passed=False)["edited"] is None
    assert labelled_record(PROBLEM, SAMPLE, passed=True)["edited"] == []


def test_a_program_that_does_not_parse_says_so() -> None:
    assert labelled_record(PROBLEM, replace(SAMPLE, program="def f(x"), passed=False)["syntax_error"]


def test_benchmarks_with_the_same_problems_are_one_kind_of_source() -> None:
    record = labelled_record(PROBLEM, replace(SAMPLE, benchmark="humanevalplus"), passed=True)

    assert (record["source"], record["kind"]) == ("humaneval", "sampled")


@pytest.mark.parametrize(
    ("asserts", "plus", "weak"), [(2, None, True), (9, None, False), (9, False, True), (2, True, False)]
)
def test_a_pass_says_little_where_few_or_weak_tests_gave_it(asserts: int, plus: bool | None, weak: bool) -> None:
    record = labelled_record(replace(PROBLEM, asserts=asserts), replace(SAMPLE, plus=plus), passed=True)

    assert record["weak_tests"] is weak


def test_a_contests_own_verdict_is_no_weak_one() -> None:
    problem = replace(PROBLEM, benchmark="lcb", asserts=1)

    assert not labelled_record(problem, replace(SAMPLE, passed=True), passed=True)["weak_tests"]


@pytest.mark.parametrize(
    ("prompt", "asked"),
    [
        ("Add two numbers.", "Add two numbers."),
        ('def g():\n    pass\n\n\ndef f(x):\n    """Double it."""\n', "Double it."),
        ("# Double it,\n# please.\ndef f(x):\n", "Double it,\nplease."),
    ],
    ids=["words", "docstring of the last function", "comment above it"],
)
def test_what_was_asked_is_found_in_a_prompt(prompt: str, asked: str) -> None:
    assert labelled_record(replace(PROBLEM, prompt=prompt, text=""), SAMPLE, passed=True)["asked"] == asked
