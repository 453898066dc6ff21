"""Which spans of a program are measured at each level, which are edited, and what each weighs."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.lab.evaluation.figures import ProgramFacts, level_records
from risk_lsp.lab.span_tables import LEVELS, LabelledText, Level, level_spans, overlap_mask, shared_weights, span_tables
from risk_lsp.text.document import Span

TEXT = '''\
def given(x):
    """Asked."""
    # how
    if x > 1:
        y = [
            x,
            2,
        ]
        return y

    def inner():
        return 0
'''
SCORED = Span(TEXT.index("    # how"), len(TEXT))


def labelled(text: str = TEXT, scored: Span = SCORED, edited: tuple[Span, ...] = ()) -> LabelledText:
    """The text with words and signs as its tokens."""
    places = [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]
    starts, ends = np.array(places, dtype=np.int32).reshape(-1, 2).T
    return LabelledText(text, scored, edited, starts, ends)


def texts_of(level: Level, text: LabelledText) -> list[str]:
    return [text.text[start:end] for start, end in level_spans(text)[level]]


def test_lines_are_code_lines_that_a_model_wrote() -> None:
    expected = ["if x > 1:", "y = [", "x,", "2,", "]", "return y", "def inner():", "return 0"]
    assert texts_of("line", labelled()) == expected


def test_tokens_are_those_on_these_lines() -> None:
    assert texts_of("token", labelled())[:5] == ["if", "x", ">", "1", ":"]


def test_statements_reach_over_lines_and_compound_ones_end_at_their_colon() -> None:
    statements = [" ".join(text.split()) for text in texts_of("statement", labelled())]
    assert statements == ["if x > 1:", "y = [ x, 2, ]", "return y", "def inner():", "return 0"]


def test_functions_are_those_with_a_line_that_a_model_wrote() -> None:
    outer, inner = texts_of("function", labelled())
    assert outer.startswith("def given") and inner.startswith("def inner")


def test_a_function_that_was_given_is_none_of_them() -> None:
    text = "def given():\n    return 1\n\n\ndef written():\n    return 2\n"
    (only,) = texts_of("function", labelled(text, Span(text.index("def written"), len(text))))
    assert only.startswith("def written")


def test_a_program_is_its_whole_text() -> None:
    assert texts_of("program", labelled()) == [TEXT]


def test_what_a_fix_touches_is_edited_at_every_level() -> None:
    place = TEXT.index("2,")
    tables = span_tables([labelled(edited=(Span(place, place + 1),))])

    edited = {
        level: [TEXT[a:b] for a, b in zip(t.start[t.edited], t.end[t.edited], strict=True)]
        for level, t in tables.items()
    }
    assert edited["token"] == ["2"] and edited["line"] == ["2,"] and edited["program"] == [TEXT]
    assert len(edited["statement"]) == len(edited["function"]) == 1


def test_a_program_without_code_is_a_span_of_its_own_and_of_nothing_else() -> None:
    tables = span_tables([labelled("# todo\n", Span(0, 7)), labelled("x\n", Span(0, 2))])

    assert [len(tables[level]) for level in LEVELS] == [1, 1, 1, 0, 2]
    assert tables["line"].program.tolist() == [1]


spans = st.tuples(st.integers(0, 20), st.integers(1, 5)).map(lambda pair: Span(pair[0], pair[0] + pair[1]))


@given(st.lists(spans, max_size=8), st.lists(spans, max_size=3))
def test_spans_are_touched_if_they_share_a_character(some: list[Span], others: list[Span]) -> None:
    found = overlap_mask([each.start for each in some], [each.end for each in some], others)

    expected = [any(set(range(*each)) & set(range(*other)) for other in others) for each in some]
    assert found.tolist() == expected


def test_the_spans_of_a_program_share_its_weight() -> None:
    tables = span_tables([labelled("a\nb\n", Span(0, 4)), labelled("c\n", Span(0, 2))])

    assert shared_weights(np.array([1.0, 3.0]), tables["line"]).tolist() == [0.5, 0.5, 3.0]


@pytest.mark.parametrize(("level", "weights"), [("line", [0.0, 2.0]), ("program", [1.0, 2.0])])
def test_a_program_whose_fix_is_unknown_counts_as_a_program_only(level: Level, weights: list[float]) -> None:
    tables = span_tables([labelled("a\n", Span(0, 2)), labelled("b\n", Span(0, 2))])
    facts = ProgramFacts(np.array(["g", "h"]), np.array([True, False]), np.array([1.0, 2.0]), np.array([0.0, 2.0]))
    records = level_records(level, tables[level], facts, {"some": [0.5, 0.5]})

    assert records.weights.tolist() == weights
    assert records.edited.tolist() == [level == "program", False]
