from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest

from risk_lsp.errors import BadInput
from risk_lsp.evaluation.bootstrap import bootstrap_interval
from risk_lsp.evaluation.metrics import base_rate
from risk_lsp.evaluation.records import FloatArray


def test_the_interval_of_a_mean_of_independent_records_is_the_textbook_one() -> None:
    values = np.random.default_rng(1).normal(size=400)
    interval = bootstrap_interval(lambda weights: float(np.average(values, weights=weights)), np.arange(400))

    half_width = 1.96 * values.std() / 20
    assert interval.estimate == pytest.approx(values.mean())
    assert (interval.low, interval.high) == pytest.approx(
        (values.mean() - half_width, values.mean() + half_width), abs=0.02
    )


def test_copies_within_a_problem_are_no_further_evidence() -> None:
    y = np.random.default_rng(2).integers(0, 2, 50).astype(float)
    copies = np.repeat(y, 30)
    once = bootstrap_interval(lambda weights: base_rate(y, weights), np.arange(50))
    thirty_times = bootstrap_interval(lambda weights: base_rate(copies, weights), np.repeat(np.arange(50), 30))

    assert thirty_times == pytest.approx(once)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(3)
    covered = 0
    for trial in range(100):
        # Twenty records per problem share its rate: a bootstrap over records would cover far too seldom.
        y = (generator.random((60, 20)) < generator.beta(1, 3, size=(60, 1))).astype(float).ravel()
        clusters = np.repeat(np.arange(60), 20)
        interval = bootstrap_interval(partial(base_rate, y), clusters, resamples=200, seed=trial)
        covered += interval.low <= 0.25 <= interval.high
    assert 86 <= covered <= 100


def test_a_seed_makes_the_interval_repeatable() -> None:
    def interval(seed: int) -> tuple[float, float]:
        found = bootstrap_interval(_share_of_first, list("aabbccdd"), resamples=50, seed=seed)
        return found.low, found.high

    assert interval(7) == interval(7)


def test_every_resample_draws_as_many_problems_as_there_are() -> None:
    totals: list[float] = []

    def statistic(weights: FloatArray) -> float:
        totals.append(weights.sum())
        return 0.0

    bootstrap_interval(statistic, ["a", "b", "c"], [2.0, 2.0, 2.0], resamples=20)
    assert set(totals) == {6.0}


def test_undefined_resamples_are_left_out() -> None:
    interval = bootstrap_interval(
        lambda weights: math.nan if weights[0] == 0 else 1.0, ["a", "b", "c"], resamples=50, seed=1
    )

    assert (interval.low, interval.high) == (1.0, 1.0)


def test_one_problem_gives_no_interval() -> None:
    with pytest.raises(BadInput, match="at least two problems"):
        bootstrap_interval(_share_of_first, ["a", "a"])


def _share_of_first(weights: FloatArray) -> float:
    return float(weights[0] / weights.sum())
