"""Statistics by sums over problems: the same as the metrics on copies of the records, resample by resample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from risk_lsp.lab.evaluation.metrics import (
    FloatArray,
    ProgramValues,
    adaptive_calibration_error,
    auc,
    brier_skill_score,
    expected_calibration_error,
    program_aucs,
)
from risk_lsp.lab.evaluation.problem_bootstrap import Interval, ProblemBootstrap, interval_of, rate_by_cost
from tests.lab.evaluation.strategies import mean

RECORDS, PROBLEMS, RESAMPLES, SEED = 400, 12, 20, 5
random = np.random.default_rng(1)
GROUPS = np.array([f"g{number}" for number in random.integers(PROBLEMS, size=RECORDS)])
PROGRAMS = np.array(
    [f"{group}/{number}" for group, number in zip(GROUPS, random.integers(3, size=RECORDS), strict=True)]
)
WEIGHTS = random.random(RECORDS) + 0.1
SCORES = random.random(RECORDS).round(2)
LABELS = random.random(RECORDS) < SCORES


def bootstrap() -> ProblemBootstrap:
    return ProblemBootstrap(GROUPS, WEIGHTS, resamples=RESAMPLES, seed=SEED)


def resampled_weights() -> list[NDArray[np.float64]]:
    """The weights of all records, then of each resample: those of a problem times how often it was drawn."""
    times = np.random.default_rng(SEED).multinomial(PROBLEMS, np.full(PROBLEMS, 1 / PROBLEMS), RESAMPLES)
    ids = np.unique(GROUPS, return_inverse=True)[1]
    return [WEIGHTS, *(WEIGHTS * each[ids] for each in times)]


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("brier_skill_score", brier_skill_score),
        ("expected_calibration_error", expected_calibration_error),
        ("auc", auc),
    ],
)
def test_every_resample_is_the_metric_with_problems_weighed_as_often_as_they_were_drawn(
    name: str, metric: Callable[..., float]
) -> None:
    found = getattr(bootstrap(), name)(SCORES, LABELS)

    np.testing.assert_allclose(found, [metric(SCORES, LABELS, weights) for weights in resampled_weights()], atol=1e-9)


def test_the_adaptive_error_of_all_records_is_the_metric() -> None:
    found = bootstrap().adaptive_calibration_error(SCORES, LABELS)

    assert found[0] == pytest.approx(adaptive_calibration_error(SCORES, LABELS, WEIGHTS))


def test_the_area_of_many_different_scores_is_exact_and_its_resamples_nearly_so() -> None:
    random = np.random.default_rng(3)
    scores = random.random(5000)
    labels, groups = random.random(5000) < scores**2, random.integers(9, size=5000).astype(str)
    found = ProblemBootstrap(groups, np.ones(5000), resamples=5, seed=SEED).auc(scores, labels)
    times = np.random.default_rng(SEED).multinomial(9, np.full(9, 1 / 9), 5)

    assert found[0] == pytest.approx(auc(scores, labels), abs=1e-12)
    expected = [auc(scores, labels, each[groups.astype(int)]) for each in times]
    np.testing.assert_allclose(found[1:], expected, atol=1e-3)


def test_means_over_programs_are_resampled_by_problem_too() -> None:
    values = program_aucs(SCORES, LABELS, PROGRAMS, WEIGHTS)
    problems = np.array([program.split("/")[0] for program in np.unique(PROGRAMS)])
    found = bootstrap().mean_over_programs(values, problems)

    expected = [mean(program_aucs(SCORES, LABELS, PROGRAMS, weights)) for weights in resampled_weights()]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def mean_of(values: FloatArray, groups: NDArray[np.str_], resamples: int = 1000, seed: int = 0) -> Interval:
    """The mean of records, each a program of its own, with its interval over problems."""
    drawn = ProblemBootstrap(groups, np.ones(len(values)), resamples=resamples, seed=seed)
    return interval_of(drawn.mean_over_programs(ProgramValues(values, np.ones(len(values))), groups))


def numbered(count: int, copies: int = 1) -> NDArray[np.str_]:
    return np.repeat([f"g{number:03}" for number in range(count)], copies)


def test_the_interval_of_a_mean_of_independent_records_is_the_textbook_one() -> None:
    values = np.random.default_rng(1).normal(size=400)
    interval = mean_of(values, numbered(400))

    half_width = 1.96 * values.std() / 20
    assert interval.estimate == pytest.approx(values.mean())
    assert (interval.low, interval.high) == pytest.approx(
        (values.mean() - half_width, values.mean() + half_width), abs=0.02
    )


def test_copies_within_a_problem_are_no_further_evidence() -> None:
    values = np.random.default_rng(2).integers(0, 2, 50).astype(float)

    assert mean_of(np.repeat(values, 30), numbered(50, 30)) == pytest.approx(mean_of(values, numbered(50)))


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(3)
    covered = 0
    for trial in range(100):
        # Twenty records per problem share its rate: a bootstrap over records would cover far too seldom.
        values = (generator.random((60, 20)) < generator.beta(1, 3, size=(60, 1))).astype(float).ravel()
        interval = mean_of(values, numbered(60, 20), resamples=200, seed=trial)
        covered += interval.low <= 0.25 <= interval.high
    assert 86 <= covered <= 100


def test_a_seed_makes_the_interval_repeatable_and_another_one_moves_it() -> None:
    values = np.random.default_rng(4).random(30)

    assert mean_of(values, numbered(30), 50, seed=7) == mean_of(values, numbered(30), 50, seed=7)
    assert mean_of(values, numbered(30), 50, seed=7) != mean_of(values, numbered(30), 50, seed=8)


def test_statistics_of_one_bootstrap_are_paired() -> None:
    difference = bootstrap().auc(SCORES, LABELS) - bootstrap().auc(SCORES / 2, LABELS)

    assert np.allclose(difference, 0)


def test_a_statistic_that_is_undefined_in_some_resamples_has_an_interval_all_the_same() -> None:
    groups, labels = np.array(["a", "b", "c"]), np.array([True, False, False])
    interval = interval_of(ProblemBootstrap(groups, np.ones(3), resamples=50).auc([0.9, 0.1, 0.2], labels))

    assert (interval.estimate, interval.low, interval.high) == (1.0, 1.0, 1.0)


def test_a_statistic_without_a_value_has_none() -> None:
    found = ProblemBootstrap(np.array(["a", "b"]), np.ones(2), resamples=5).auc([0.1, 0.2], [False, False])

    assert np.isnan(interval_of(found)).all()


def test_the_share_solved_within_a_cost() -> None:
    rows = rate_by_cost([3, 10, float("inf"), 3], [1, 3, 10])

    assert [(cost, rate) for cost, rate, _, _ in rows] == [(1, 0), (3, 0.5), (10, 0.75)]
