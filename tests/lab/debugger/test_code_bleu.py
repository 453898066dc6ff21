"""CodeBLEU against figures of the `codebleu` package 0.7.0 (its README's example among them)."""

from __future__ import annotations

import pytest

from risk_lsp.lab.debugger.rewards import code_bleu

SUM = "def sum ( first , second ) :\n return second + first"
ADD = "def add ( a , b ) :\n return a + b"
# Programs at least as long as their reference: for shorter ones the package leaves out a penalty.
MEAN = (
    "def mean(values):\n    total = 0\n    for value in values:\n        total += value\n"
    "    return total / len(values)\n"
)
WORSE = (
    "def mean(values):\n    total = 0\n    for value in values:\n        total = value\n"
    "    if total > 3:\n        return 0\n    return total / len(values)\n"
)


def test_the_published_example_has_its_published_parts() -> None:
    found = code_bleu(ADD, SUM)

    assert found == pytest.approx((0.10419045, 0.11094660, 1.0, 1.0), abs=1e-7)
    assert found.score == pytest.approx(0.55378426, abs=1e-7)


def test_a_changed_program_has_the_parts_that_the_package_gives() -> None:
    assert code_bleu(WORSE, MEAN) == pytest.approx((0.53516072, 0.76397663, 0.5, 1.0), abs=1e-7)


def test_a_program_is_like_itself() -> None:
    assert code_bleu(MEAN, MEAN) == (1.0, 1.0, 1.0, 1.0)


def test_comments_and_docstrings_change_the_words_alone() -> None:
    commented = MEAN.replace("    total = 0\n", '    """The mean."""\n    total = 0  # so far\n')

    assert code_bleu(commented, MEAN)[2:] == (1.0, 1.0)
    assert code_bleu(commented, MEAN).ngrams < 1.0


def test_other_names_leave_syntax_and_data_flow_as_they_are() -> None:
    renamed = MEAN.replace("total", "amount").replace("values", "numbers")

    assert code_bleu(renamed, MEAN)[2:] == (1.0, 1.0)


def test_a_program_of_which_nothing_is_alike_gets_next_to_nothing() -> None:
    assert code_bleu("import os", MEAN).score < 0.1


@pytest.mark.parametrize("program", ["", "def f(:\n  retur", "\ud800", "((((((" * 300])
def test_any_text_has_a_score(program: str) -> None:
    assert 0.0 <= code_bleu(program, MEAN).score <= 1.0
