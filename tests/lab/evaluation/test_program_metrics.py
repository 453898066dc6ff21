"""Order within programs, by hand and against a plain loop over programs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from sklearn.metrics import roc_auc_score

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.metrics import program_aucs, program_efforts, program_hits
from tests.lab.evaluation.strategies import mean

# (program, score on a coarse grid, label)
LINES = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4).map(float), st.sampled_from([0.0, 1.0])), min_size=1, max_size=40
)


def test_auc_within_programs_is_the_mean_over_programs_with_both_classes() -> None:
    scores = [0.9, 0.1, 0.1, 0.9, 0.5]
    y = [1, 0, 1, 0, 1]
    programs = ["right order", "right order", "wrong order", "wrong order", "one class"]

    assert mean(program_aucs(scores, y, programs)) == 0.5


def test_a_programs_weight_is_the_sum_over_its_records() -> None:
    scores, y, programs = [0.9, 0.1, 0.1, 0.9], [1, 0, 1, 0], [0, 0, 1, 1]

    assert mean(program_aucs(scores, y, programs, [1.5, 1.5, 0.5, 0.5])) == 0.75


def test_knowing_which_programs_are_in_trouble_earns_nothing_within_them() -> None:
    assert mean(program_aucs([0.9, 0.9, 0.9, 0.1, 0.1], [1, 0, 0, 0, 0], [0, 0, 0, 1, 1])) == 0.5


def test_auc_within_programs_is_undefined_without_a_mixed_program() -> None:
    assert math.isnan(mean(program_aucs([0.9, 0.1], [1, 0], ["a", "b"])))


@given(LINES)
def test_auc_within_programs_agrees_with_a_loop_over_scikit_learn(lines: list[tuple[int, float, float]]) -> None:
    programs, scores, y = (np.array(column) for column in zip(*lines, strict=True))
    areas = [
        roc_auc_score(y[programs == program], scores[programs == program])
        for program in np.unique(programs)
        if len(np.unique(y[programs == program])) == 2
    ]

    assert mean(program_aucs(scores, y, programs)) == pytest.approx(np.mean(areas) if areas else math.nan, nan_ok=True)


def test_hits_count_programs_whose_best_lines_hold_an_edit() -> None:
    scores = [0.9, 0.5, 0.1, 0.9, 0.5, 0.1, 0.9]
    y = [1, 0, 0, 0, 0, 1, 0]
    programs = [0, 0, 0, 1, 1, 1, 2]

    assert [mean(program_hits(scores, y, programs, k)) for k in (1, 2, 3)] == [0.5, 0.5, 1.0]


def test_equal_scores_are_read_from_the_top() -> None:
    assert mean(program_hits([0.5, 0.5], [1, 0], [0, 0], 1)) == 1.0
    assert mean(program_hits([0.5, 0.5], [0, 1], [0, 0], 1)) == 0.0


def test_hits_need_at_least_one_line() -> None:
    with pytest.raises(BadInput, match="best 0 records"):
        program_hits([0.5], [1], [0], 0)


def mean_efforts(scores: ArrayLike, y: ArrayLike, groups: ArrayLike) -> tuple[float, float]:
    """Mean shares read over the programs: by probability, and from the top."""
    by_probability, top_to_bottom = program_efforts(scores, y, groups)
    return mean(by_probability), mean(top_to_bottom)


def test_review_effort_by_hand() -> None:
    # One program of ten lines, edited in lines 5 and 10. By score: line 10 first, line 5 third. From the top: all ten.
    y = [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    scores = [0.1, 0.6, 0.1, 0.1, 0.5, 0.1, 0.1, 0.1, 0.1, 0.9]
    assert mean_efforts(scores, y, [0] * 10) == (0.3, 1.0)


def test_review_stops_at_four_of_five_edited_lines() -> None:
    assert mean_efforts([0.0] * 6, [1, 1, 1, 1, 0, 1], [0] * 6)[1] == pytest.approx(4 / 6)


def test_programs_without_an_edit_are_not_reviewed() -> None:
    assert mean_efforts([0.1, 0.9, 0.5], [0, 1, 0], ["a", "a", "fine"]) == (0.5, 1.0)


@given(LINES)
def test_scores_that_say_nothing_are_read_from_the_top(lines: list[tuple[int, float, float]]) -> None:
    programs, _, y = zip(*lines, strict=True)
    by_probability, top_to_bottom = mean_efforts(np.zeros(len(y)), y, programs)

    assert by_probability == pytest.approx(top_to_bottom, nan_ok=True)


@given(LINES)
def test_the_labels_themselves_are_the_least_effort(lines: list[tuple[int, float, float]]) -> None:
    programs, scores, y = zip(*lines, strict=True)
    best = mean_efforts(y, y, programs)[0]

    assert math.isnan(best) or best <= mean_efforts(scores, y, programs)[0] + 1e-12


@given(LINES, st.randoms())
def test_programs_may_be_interleaved(lines: list[tuple[int, float, float]], random: object) -> None:
    together = sorted(lines, key=lambda line: line[0])
    assert _measures(together) == pytest.approx(_measures(lines), nan_ok=True)


def _measures(lines: list[tuple[int, float, float]]) -> list[float]:
    programs, scores, y = zip(*lines, strict=True)
    return [
        mean(program_aucs(scores, y, programs)),
        mean(program_hits(scores, y, programs, 1)),
        *mean_efforts(scores, y, programs),
    ]


def test_a_recall_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="recall of 0"):
        program_efforts([0.5], [1], [0], recall=0.0)
