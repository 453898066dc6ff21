"""The benchmark's own arithmetic: what is a median, and which bar it reaches."""

from __future__ import annotations

import pytest

from benchmarks.bench.figures import Figure, markdown, percentile


@pytest.mark.parametrize(
    ("value", "verdict"), [(20.0, "target"), (30.0, "target"), (99.0, "minimum"), (101.0, "missed")]
)
def test_a_time_is_held_to_its_bars_from_below(value: float, verdict: str) -> None:
    assert Figure("queries", "ms", (value,), 100, 30).verdict() == verdict


@pytest.mark.parametrize(("value", "verdict"), [(600.0, "target"), (100.0, "minimum"), (87.0, "missed")])
def test_a_ratio_is_held_to_its_bars_from_above(value: float, verdict: str) -> None:
    assert Figure("against asking", "x", (value,), 100, 500, larger_is_better=True).verdict() == verdict


def test_the_median_decides_and_the_range_is_shown() -> None:
    figure = Figure("queries", "ms", (10.0, 1000.0, 20.0), 100, 30)

    assert figure.verdict() == "target"
    assert "| queries | 20 ms | 10-1,000 | 100 ms | 30 ms | target |" in markdown([figure])


def test_one_in_a_hundred_values_lies_above_the_99th_percentile() -> None:
    assert percentile([float(value) for value in range(100)], 0.99) == 99.0
    assert percentile([float(value) for value in range(1000)], 0.99) == 990.0
