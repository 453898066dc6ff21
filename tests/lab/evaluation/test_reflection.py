"""Questions about lines, and the numbers in what a model answers."""

from __future__ import annotations

import numpy as np
import pytest

from risk_lsp.lab.evaluation.rivals import (
    asked_lines,
    probabilities_of,
    question_about,
    scores_of_table,
    span_reflections,
)
from risk_lsp.lab.span_tables import SpanTable
from risk_lsp.text.document import Span

TEXT = 'def f(a):\n    """Double it."""\n    b = a + a\n    return b\n'
SCORED = Span(TEXT.index("    b"), len(TEXT))


def test_only_code_lines_that_a_model_wrote_are_asked_about() -> None:
    assert asked_lines(TEXT, SCORED) == [3, 4]
    assert "Lines: L3, L4\n" in question_about(TEXT, SCORED)


def test_the_model_sees_the_whole_program_with_numbers() -> None:
    assert 'L2        """Double it."""\nL3        b = a + a' in question_about(TEXT, SCORED)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("L3: 0.4\nL4: .1", {3: 0.4, 4: 0.1}),
        ("3: 40%\nLine 4 - 1", {3: 0.4, 4: 1.0}),
        ("| 3 | 0.4 |\n| 4 | 0 |", {3: 0.4, 4: 0.0}),
        ("Here you are:\n- L3: 0.4\n\nThat is all, 100% sure.", {3: 0.4}),
        ("**L3**: 0.4\n4. 0.5", {3: 0.4, 4: 0.5}),
        ("L3: 0.4\nL3: 0.6", {3: 0.6}),
        ("L3: 40", {}),
        ("L3: -0.4", {}),
        ("L1: 0.4\nL99: 0.5", {}),
        ("L3: high", {}),
        ("", {}),
    ],
)
def test_rows_with_a_line_and_a_probability_are_read_and_all_else_is_passed_over(
    answer: str, found: dict[int, float]
) -> None:
    assert probabilities_of(answer, [3, 4]) == found


def test_a_span_has_the_highest_answer_among_its_lines() -> None:
    start = TEXT.index("b = a")
    spans = np.array([[start, start + 1], [start, len(TEXT)], [0, 9]])
    found = span_reflections(TEXT, SCORED, {3: 0.2, 4: 0.7}, spans)

    np.testing.assert_array_equal(found, [0.2, 0.7, np.nan])


def test_programs_that_nobody_asked_about_have_no_score() -> None:
    table = SpanTable(np.array([0, 0]), np.array([len(TEXT)] * 2), np.array([0, 1]), np.zeros(2, dtype=bool))
    found = scores_of_table([(TEXT, SCORED)] * 2, [{}, {4: 0.5}], table, span_reflections)

    np.testing.assert_array_equal(found, [np.nan, 0.5])
