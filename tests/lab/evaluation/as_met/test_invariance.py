"""How far numbers move when nothing that matters changes."""

from __future__ import annotations

import math
from typing import Any

import pytest

from risk_lsp.lab.evaluation.as_met.invariance import changed_pairs, measure_invariance
from tests.lab.evaluation.as_met.fakes import Rule

TEXT = "def f(x):\n    total = x + 1\n    if total > 3:\n        return total\n    return 0\n"
EVEN = Rule(lambda line: 0.5)


def measured(rule: Rule, texts: list[str] | None = None) -> dict[str, Any]:
    texts = texts or [TEXT]
    found: dict[str, Any] = measure_invariance(changed_pairs(texts), ["programs"] * len(texts), [rule], 5)[rule.name]
    return found


def test_scores_that_do_not_look_at_the_text_do_not_move() -> None:
    assert {tuple(value) for value in measured(EVEN)["all"].values()} == {(0.0, 0.0, 0.0)}


def test_a_whole_that_counts_tabs_moves_by_its_log_odds_under_tabs_alone() -> None:
    rows = measured(Rule(lambda line: 0.5, lambda text: 0.9 if "\t" in text else 0.5))

    assert rows["tabs"]["document_mean"][0] == pytest.approx(math.log(9), abs=1e-4)
    assert rows["two spaces"]["document_mean"][0] == 0.0
    assert 0 < rows["all"]["document_mean"][0] < rows["all"]["document_p95"][0]


def test_lines_are_compared_with_themselves_wherever_they_stand_now() -> None:
    rows = measured(Rule(lambda line: 0.9 if "return total" in line else 0.1))

    assert rows["licence header"]["line_mean"][0] == rows["logger line"]["line_mean"][0] == 0.0


def test_a_line_is_known_again_under_another_name() -> None:
    rows = measured(Rule(lambda line: 0.9 if "total" in line else 0.5))

    assert rows["local names"]["line_p95"][0] == pytest.approx(math.log(9), abs=1e-4)


def test_a_text_that_does_not_parse_is_left_out() -> None:
    assert changed_pairs(["def f(:\n"]) == []


def test_columns_without_a_level_are_left_out() -> None:
    assert measure_invariance(changed_pairs([TEXT]), ["programs"], [Rule(len, is_level=False)], 5) == {}


def test_each_kind_of_text_has_its_row() -> None:
    pairs = changed_pairs([TEXT, TEXT.replace("total", "result")])

    assert {"programs", "library files"} <= measure_invariance(pairs, ["programs", "library files"], [EVEN], 5)[
        "rule"
    ].keys()
