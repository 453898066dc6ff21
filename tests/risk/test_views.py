"""Lines, functions, the document and the tokens that drive a span: all are queries of one map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.risk.presentation import (
    document_risk,
    driving_tokens,
    driving_words,
    function_risks,
    line_risks,
    percent,
    riskiest_lines,
)
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.text.document import Span, stripped_line_spans
from risk_lsp.text.structure import parse_structure
from tests.risk.maps import int32, risk_map

PROGRAM = """def first(items):
    return items[0]


class Stack:
    def push(self, item):
        self.items.append(item)
"""


def one_token_per_character(text: str, hazard: float = 0.01) -> RiskMap:
    places = int32(range(len(text)))
    return RiskMap(len(text), places, places + 1, np.full(len(text), hazard), risk_map([], []).calibration)


@given(st.text(st.sampled_from("ab \t\n\r\f\u2028"), max_size=40))
def test_every_line_is_scored_without_the_white_space_around_it(text: str) -> None:
    risk = one_token_per_character(text)
    expected = [risk.probability(*span) if span.start < span.end else None for span in stripped_line_spans(text)]
    assert [None if np.isnan(each) else each for each in line_risks(risk, text).tolist()] == expected


def test_the_document_s_risk_is_that_of_all_its_tokens() -> None:
    risk = one_token_per_character(PROGRAM)
    assert document_risk(risk) == risk.probability(0, len(PROGRAM))


def test_functions_and_methods_are_scored_from_def_to_their_last_statement() -> None:
    risk = one_token_per_character(PROGRAM)
    functions = function_risks(risk, parse_structure(PROGRAM, "python"))
    assert [each.node.name for each in functions] == ["first", "Stack.push"]
    assert functions[0].probability == risk.probability(*functions[0].node.span)


def test_a_program_without_functions_has_no_function_risks() -> None:
    assert function_risks(one_token_per_character("x = 1\n"), parse_structure("x = 1\n", "python")) == []


def test_the_riskiest_lines_come_highest_first_and_blank_ones_never() -> None:
    assert riskiest_lines([0.1, float("nan"), 0.5, 0.3, 0.5], top=3) == [2, 4, 3]


def test_lines_below_the_threshold_are_not_among_the_riskiest() -> None:
    assert riskiest_lines([0.1, float("nan"), 0.5, 0.3], top=9, at_least=0.3) == [2, 3]


def test_driving_words_are_whole_names_each_named_once() -> None:
    text = "for intervals in naïve_e\u0301:"
    pieces = [(text.index(piece), text.index(piece) + len(piece)) for piece in ("inter", "vals", " na", ":")]
    risk = risk_map(pieces, [0.4, 0.3, 0.2, 0.1])
    words = driving_words(risk, text, Span(0, len(text)), top=4)
    assert [text[word.start : word.end] for word in words] == ["intervals", "naïve_e\u0301", ":"]


def test_driving_words_stay_in_the_span() -> None:
    text = "intervals"
    risk = risk_map([(5, 7)], [0.4])
    assert driving_words(risk, text, Span(5, 8)) == [Span(5, 8)]


def test_the_driving_tokens_are_the_likeliest_ones_of_the_span_in_the_order_of_the_text() -> None:
    risk = risk_map([(0, 2), (2, 4), (4, 6), (6, 8)], [0.9, 0.2, 0.1, 0.3])
    assert driving_tokens(risk, Span(2, 8), top=2) == [Span(2, 4), Span(6, 8)]


def test_tokens_that_share_a_character_drive_a_span_once() -> None:
    risk = risk_map([(0, 1), (0, 1), (1, 2)], [0.2, 0.3, 0.1])
    assert driving_tokens(risk, Span(0, 2), top=3) == [Span(0, 1), Span(1, 2)]


def test_tokens_without_hazard_and_empty_spans_drive_nothing() -> None:
    risk = risk_map([(0, 2), (2, 4)], [0.0, 0.4])
    assert (driving_tokens(risk, Span(0, 2)), driving_tokens(risk, Span(3, 3))) == ([], [])


@pytest.mark.parametrize(
    ("probability", "shown"),
    [(0.0, "<1%"), (0.004, "<1%"), (0.006, "1%"), (0.414, "41%"), (0.996, ">99%"), (1.0, ">99%")],
)
def test_probabilities_are_shown_with_two_digits_and_never_as_certain(probability: float, shown: str) -> None:
    assert percent(probability) == shown
