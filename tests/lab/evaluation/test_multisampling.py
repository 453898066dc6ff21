"""Agreement among programs that one model wrote for one task."""

from __future__ import annotations

import numpy as np

from risk_lsp.lab.evaluation.rivals import code_lines, disagreement, scores_of_table, span_disagreement
from risk_lsp.lab.span_tables import SpanTable
from risk_lsp.text.document import Span

TEXT = "def f(a):\n    # how\n    b = a + 1\n    return b\n"
SCORED = Span(0, len(TEXT))


def test_comments_and_white_space_do_not_count() -> None:
    assert code_lines(TEXT) == ["deff(a):", "b=a+1", "returnb"]


def test_a_line_is_suspected_as_often_as_siblings_lack_it() -> None:
    siblings = [["deff(a):", "returnb"], ["deff(a):", "b=a+1", "print(b)", "returnb"], ["deff(a):", "b=a-1", "returnb"]]

    np.testing.assert_allclose(disagreement(code_lines(TEXT), siblings), [0, 2 / 3, 0])


def test_lines_agree_in_order_only() -> None:
    assert disagreement(["a", "b"], [["b", "a"]]).sum() == 1


def test_a_span_has_the_mean_of_its_lines_and_a_token_that_of_its_own() -> None:
    start = TEXT.index("b = a")
    spans = np.array([[start, start + 1], [start, len(TEXT)], [TEXT.index("# how"), TEXT.index("# how") + 5]])

    np.testing.assert_allclose(span_disagreement(TEXT, SCORED, [["deff(a):", "returnb"]], spans), [1.0, 0.5, 0.0])


def test_a_program_without_siblings_has_no_score() -> None:
    table = SpanTable(np.array([0, 0]), np.array([9, 9]), np.array([0, 1]), np.zeros(2, dtype=bool))
    found = scores_of_table([(TEXT, SCORED), (TEXT, SCORED)], [[], [["deff(a):"]]], table, span_disagreement)

    assert np.isnan(found[0]) and found[1] == 0
