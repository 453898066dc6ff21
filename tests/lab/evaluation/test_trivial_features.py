"""What is said of a span without understanding it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from risk_lsp.lab.evaluation.rivals import FEATURES, trivial_feature_table, trivial_features
from risk_lsp.lab.span_tables import SpanTable
from risk_lsp.text.document import Span

TEXT = "def f(x):\n    if x:\n        return 1\n    return 2\n"


def features(*parts: str, scored: int = 0) -> NDArray[np.float64]:
    starts = np.array([TEXT.index(part) for part in parts], dtype=np.int64)
    ends = starts + np.array([len(part) for part in parts], dtype=np.int64)
    return trivial_features(TEXT, Span(scored, len(TEXT)), starts, ends)


def test_position_counts_from_the_first_line_that_a_model_wrote() -> None:
    (first,) = features("    if x:", scored=TEXT.index("    if"))

    assert first[0] == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [("if x", "return 1"), ("if x", "def f"), ("return 1", "1"), ("x", "("), ("    return 2", "        return 1")],
    ids=["keyword", "place", "kind", "name or sign", "indentation"],
)
def test_spans_that_begin_or_stand_otherwise_differ(one: str, other: str) -> None:
    first, second = features(one, other)

    assert not np.array_equal(first, second)


def test_the_names_in_a_program_do_not_matter() -> None:
    renamed = TEXT.replace("x", "y").replace("f(", "g(")
    starts, ends = np.array([0, 14]), np.array([9, 19])

    np.testing.assert_array_equal(
        trivial_features(TEXT, Span(0, len(TEXT)), starts, ends),
        trivial_features(renamed, Span(0, len(renamed)), starts, ends),
    )


def test_a_table_of_several_programs_has_the_features_of_each() -> None:
    table = SpanTable(np.array([0, 0, 14]), np.array([9, 3, 19]), np.array([0, 2, 2]), np.zeros(3, dtype=bool))
    texts = [(TEXT, Span(0, len(TEXT))), ("", Span(0, 0)), (TEXT, Span(14, len(TEXT)))]
    found = trivial_feature_table(texts, table)

    assert found.shape == (3, FEATURES)
    np.testing.assert_array_equal(
        found[2], trivial_features(TEXT, Span(14, len(TEXT)), np.array([14]), np.array([19]))[0]
    )
