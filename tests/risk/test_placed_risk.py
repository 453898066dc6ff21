"""Risks in light of where lines are: coherent numbers, and percentages only where they were measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_lsp.probe.calibration import PLACES, Place, Prior, Priors
from risk_lsp.risk.presentation import PlacedRisk, Standing, few_at_rest, ordinal, place_risks, ranks_of
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.text.document import LineIndex, Span
from tests.risk.maps import risk_map, risk_maps, span_in

GENERATED, CHANGED, AT_REST = range(3)
PRIORS = Priors(Prior(1.0, 0.1, 100, measured=True), Prior(0.2, 0.02), Prior(0.05, 0.002))
TEXT = "a\nb\nc\n"
LINES = LineIndex(TEXT)
ONE_A_LINE = risk_map([(0, 1), (1, 3), (3, 5), (5, 6)], [0.5, 0.5, 0.5, 0.0])


def placed_lines(*places: int, language_id: str = "python", priors: Priors = PRIORS) -> PlacedRisk:
    """TEXT with these places of its three lines."""
    return place_risks(ONE_A_LINE, LINES, np.array([*places, places[-1]], dtype=np.int8), priors, language_id)


@settings(max_examples=300)
@given(risk_maps(), st.data())
def test_whatever_the_factors_a_span_inside_another_is_never_likelier(risk: RiskMap, data: st.DataObject) -> None:
    count = len(risk.hazards)
    factors = data.draw(st.lists(st.floats(1e-30, 1e30), min_size=count, max_size=count))
    scaled = risk.scale(np.array(factors))
    outer_start, outer_end = data.draw(span_in(risk.text_length))
    start = data.draw(st.integers(outer_start, outer_end))
    end = data.draw(st.integers(start, outer_end))

    assert 0.0 <= scaled.probability(start, end) <= scaled.probability(outer_start, outer_end) <= 1.0


@given(risk_maps())
def test_a_factor_of_one_changes_nothing(risk: RiskMap) -> None:
    scaled = risk.scale(np.ones(len(risk.hazards)))

    np.testing.assert_array_equal(scaled.hazards, risk.hazards)
    assert scaled.to_arrays()[0] == risk.to_arrays()[0]


def test_each_token_has_the_factor_of_the_line_where_it_ends() -> None:
    risks = placed_lines(GENERATED, CHANGED, AT_REST).risks

    expected = 1 - np.exp(-0.5 * np.array([1.0, 0.2, 0.05]))
    assert [risks.probability(*span) for span in ((0, 1), (2, 3), (4, 5))] == pytest.approx(expected, rel=1e-5)


def test_the_whole_is_the_sum_of_its_places() -> None:
    risks = placed_lines(GENERATED, CHANGED, AT_REST).risks

    assert risks.probability(0, len(TEXT)) == pytest.approx(1 - np.exp(-0.5 * 1.25), rel=1e-5)


def test_lines_of_a_measured_place_give_percentages_and_others_their_order() -> None:
    risk = placed_lines(GENERATED, CHANGED, AT_REST)
    ranks = ranks_of(np.array([0.4, 0.1, 0.2, np.nan]))
    standings = [risk.of_line(line, ranks) for line in range(3)]

    assert [standing.gives for standing in standings] == ["percent", "order", "order"]
    assert [standing.sentence(0.4) for standing in standings] == [
        "40% likely to need an edit",
        "3rd of 3 lines to read",
        "2nd of 3 lines to read",
    ]
    assert [standing.why for standing in standings] == [
        None,
        "how often changed lines need an edit was not measured",
        "how often lines of code at rest need an edit was not measured",
    ]


def test_one_line_of_an_unmeasured_place_takes_the_percentage_from_all_around_it() -> None:
    risk = placed_lines(GENERATED, GENERATED, AT_REST)

    assert risk.of_span(Span(0, 3), ranks_of(np.array([0.4, 0.4, 0.2, np.nan]))).gives == "percent"
    assert (risk.whole.gives, risk.whole.place) == ("order", None)


def test_a_blank_line_in_another_place_takes_no_percentage_away() -> None:
    risk = place_risks(
        ONE_A_LINE, LINES, np.array([GENERATED, GENERATED, GENERATED, AT_REST], np.int8), PRIORS, "python"
    )

    assert (risk.whole.gives, risk.orders()) == ("percent", {})


def test_a_span_has_the_rank_of_the_first_to_read_of_its_lines() -> None:
    risk = placed_lines(AT_REST, AT_REST, AT_REST)
    ranks = ranks_of(np.array([0.1, 0.2, np.nan, np.nan]))

    assert [risk.of_span(Span(*span), ranks).rank for span in ((0, 1), (0, 4), (4, 5), (0, 0))] == [2, 1, None, 2]


def test_a_text_outside_of_the_range_gives_its_order_whatever_its_place() -> None:
    whole = placed_lines(GENERATED, GENERATED, GENERATED, language_id="java").whole

    assert (whole.gives, whole.place) == ("order", Place.GENERATED)
    assert whole.why is not None and "the language of this one is java" in whole.why


def test_without_priors_of_its_own_a_bundle_gives_order_at_rest_with_the_numbers_as_they_are() -> None:
    risk = placed_lines(AT_REST, AT_REST, AT_REST, priors=Priors())

    assert risk.whole.gives == "order"
    assert risk.risks.probability(0, 1) == ONE_A_LINE.probability(0, 1)


def test_a_standing_says_why_only_where_it_is_an_order() -> None:
    percent, order = Standing(Place.GENERATED, 1, 4, None), Standing(None, 2, 4, "because")

    assert percent.to_json() == {"gives": "percent", "rank": 1, "of": 4, "place": "generated"}
    assert order.to_json() == {"gives": "order", "rank": 2, "of": 4, "place": "mixed", "why": "because"}


def test_ranks_go_from_the_likeliest_line_to_the_last_and_skip_lines_without_a_number() -> None:
    assert ranks_of(np.array([0.1, np.nan, 0.4, 0.1, 0.2])).tolist() == [3, 0, 1, 4, 2]


@pytest.mark.parametrize(
    ("number", "word"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (13, "13th"), (21, "21st"), (1112, "1,112th")],
)
def test_ordinals_are_those_of_english(number: int, word: str) -> None:
    assert ordinal(number) == word


@pytest.mark.parametrize(("code_lines", "kept"), [(1, 1), (50, 1), (51, 2), (100, 2), (400, 5)])
def test_code_at_rest_gets_one_hint_for_fifty_lines(code_lines: int, kept: int) -> None:
    count = 500
    at_rest = np.ones(count, dtype=np.bool_)
    is_code = np.arange(count) < code_lines

    assert few_at_rest([9, 7, 5, 3, 1], at_rest, is_code) == [9, 7, 5, 3, 1][:kept]


def test_lines_that_are_not_at_rest_are_not_counted() -> None:
    at_rest = np.array([True, False] * 5)

    assert few_at_rest([0, 1, 2, 3, 4], at_rest, np.ones(10, dtype=np.bool_)) == [0, 1, 3]


def test_the_numbers_of_places_are_those_of_the_enumeration() -> None:
    assert PLACES == (Place.GENERATED, Place.CHANGED, Place.AT_REST)
