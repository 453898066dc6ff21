"""What a probability has meant on held-out programs."""

from __future__ import annotations

from typing import Any

import pytest

from risk_lsp.errors import BundleError
from risk_lsp.probe.manifest import ReferenceTable


def row(low: float, high: float, observed: float = 0.39, n: int = 612) -> dict[str, Any]:
    return {"low": low, "high": high, "predicted": (low + high) / 2, "observed": observed, "n": n}


TABLE = ReferenceTable.from_manifest({"line": [row(0.35, 0.45), row(0.45, 1.0, 0.6, 90), row(0.0, 0.35, 0.1, 0)]})


def test_a_probability_is_put_in_words_with_its_class_s_frequency_and_count() -> None:
    assert TABLE.sentence(0.41) == "of lines scored 35-45%, 39% were edited, n = 612"


@pytest.mark.parametrize(("probability", "low"), [(0.35, 0.35), (0.4499, 0.35), (0.45, 0.45), (1.0, 0.45)])
def test_a_class_holds_its_lower_end_and_the_last_one_both_ends(probability: float, low: float) -> None:
    found = TABLE.find(probability)
    assert found is not None and found.low == low


def test_a_class_in_which_no_line_was_scored_has_nothing_to_say() -> None:
    assert TABLE.sentence(0.2) is None


def test_a_level_that_was_not_measured_has_nothing_to_say() -> None:
    assert ReferenceTable.from_manifest({"line": []}, "function").sentence(0.4) is None


@pytest.mark.parametrize(
    ("reference", "named"),
    [
        ([], "is not a list"),
        ({"line": {}}, "is not a list"),
        ({"line": [{"low": 0.1}]}, r"\[0\] lacks a number"),
        ({"line": [row(0.0, 0.5), row(0.5, float("nan"))]}, r"\[1\] lacks a number"),
        ({"line": [row(0.5, 0.5)]}, "not a class"),
        ({"line": [row(0.5, 1.5)]}, "not a class"),
    ],
)
def test_a_malformed_table_is_refused_by_the_place_of_its_fault(reference: Any, named: str) -> None:
    with pytest.raises(BundleError, match=named):
        ReferenceTable.from_manifest(reference)
