"""Statistics by sums over problems: the same as the metrics on copies of the records, resample by resample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from risk_lsp.evaluation.metrics import adaptive_calibration_error, auc, brier_skill_score, expected_calibration_error
from risk_lsp.evaluation.problem_bootstrap import ProblemBootstrap, interval_of
from risk_lsp.evaluation.program_metrics import program_aucs, within_group_auc

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

    expected = [within_group_auc(SCORES, LABELS, PROGRAMS, weights) for weights in resampled_weights()]
    np.testing.assert_allclose(found, expected, atol=1e-9)


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
