"""How unlike the calibration texts a text is, as a share of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.errors import BundleError
from risk_lsp.probe.token_hazards import novelty_distance, novelty_of, novelty_table

distances = st.lists(st.floats(0, 100), min_size=2, max_size=50)


def test_a_text_that_is_average_in_every_feature_has_distance_zero() -> None:
    assert novelty_distance(np.array([[1.0, -2.0], [-1.0, 2.0]], dtype=np.float32)) == 0.0


def test_the_distance_is_the_root_mean_square_of_the_mean_features() -> None:
    assert novelty_distance(np.array([[3.0, 0.0], [3.0, 8.0]], dtype=np.float32)) == pytest.approx(np.sqrt(12.5))


def test_a_text_without_tokens_has_distance_zero() -> None:
    assert novelty_distance(np.zeros((0, 3), dtype=np.float32)) == 0.0


@given(distances, st.floats(0, 100), st.floats(0, 100))
def test_a_greater_distance_is_never_less_novel(known: list[float], first: float, second: float) -> None:
    table = novelty_table(known)
    low, high = (novelty_of(distance, table) for distance in sorted((first, second)))

    assert low is not None and high is not None and 0 <= low <= high <= 1


@given(distances)
def test_the_middle_text_of_the_calibration_set_is_about_half_novel(known: list[float]) -> None:
    spread = [place + distance / 1e3 for place, distance in enumerate(known)]

    assert novelty_of(float(np.median(spread)), novelty_table(spread)) == pytest.approx(0.5, abs=0.02)


def test_a_bundle_without_a_table_gives_no_novelty() -> None:
    assert novelty_table([]) == {}
    assert novelty_of(1.0, {}) is None


@pytest.mark.parametrize(
    "quantiles",
    [[0.0, 1.0], [1.0] * 100 + [0.5], [0.0] * 100 + [float("nan")], "x", [["a"]], {"a": 1}, [10**400] * 101],
    ids=["too few", "falling", "not a number", "text", "nested text", "an object", "too large"],
)
def test_a_table_that_is_no_rising_list_of_quantiles_is_refused(quantiles: object) -> None:
    with pytest.raises(BundleError, match="101 quantiles"):
        novelty_of(0.5, {"quantiles": quantiles})
