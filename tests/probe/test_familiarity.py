"""How far a text's own level is believed: in full for one like those learnt from, not at all for one unlike them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from risk_lsp.errors import BundleError
from risk_lsp.probe.calibration import Familiarity

FEATURES, KEPT = 6, 2
SPREAD = np.array([9.0, 4.0], dtype=np.float32)
LEARNT = Familiarity(
    mean=np.zeros(FEATURES, dtype=np.float32),
    scale=np.ones(FEATURES, dtype=np.float32),
    components=np.eye(FEATURES, dtype=np.float32)[:KEPT],
    variances=SPREAD,
    rest=np.array([0.5], dtype=np.float32),
    quantiles=np.linspace(0.0, 10.0, 101, dtype=np.float32),
)


def text_at(*coordinates: float) -> np.ndarray:
    """The mean features of one text, float32[1, FEATURES]."""
    return np.array([[*coordinates, *[0.0] * (FEATURES - len(coordinates))]], dtype=np.float32)


def test_a_step_along_a_direction_in_which_texts_differ_counts_less_than_one_beside_it() -> None:
    assert LEARNT.distances(text_at(3.0)) == pytest.approx(1.0)
    assert LEARNT.distances(text_at(0.0, 2.0)) == pytest.approx(1.0)
    assert LEARNT.distances(text_at(0.0, 0.0, 1.0)) == pytest.approx(2.0)


def test_features_are_brought_to_the_spread_of_the_learnt_texts_first() -> None:
    wider = replace(LEARNT, scale=np.full(FEATURES, 2.0, dtype=np.float32), mean=text_at(1.0)[0])

    assert wider.distances(text_at(7.0)) == pytest.approx(1.0)


def test_a_text_like_most_calibration_texts_is_believed_in_full_and_one_beyond_them_not_at_all() -> None:
    means = np.concatenate([text_at(0.0), text_at(6.0), text_at(8.0), text_at(0.0, 0.0, 8.0)])

    near, inside, between, far = LEARNT.belief(means)

    assert near == inside == 1.0
    assert 0.0 < between < 1.0
    assert far == 0.0


def test_belief_falls_with_the_distance() -> None:
    steps = np.concatenate([text_at(step) for step in np.linspace(0.0, 12.0, 40)])

    assert (np.diff(LEARNT.belief(steps)) <= 0).all()


def test_what_a_bundle_keeps_is_read_back() -> None:
    again = Familiarity.from_tensors(LEARNT.tensors(), FEATURES)

    assert again is not None
    np.testing.assert_array_equal(again.belief(text_at(8.0)), LEARNT.belief(text_at(8.0)))


def test_a_bundle_without_its_tensors_has_none() -> None:
    assert Familiarity.from_tensors({"encoder.mean": np.zeros(FEATURES, dtype=np.float32)}, FEATURES) is None


@pytest.mark.parametrize("name", sorted(LEARNT.tensors()))
def test_a_missing_tensor_is_refused(name: str) -> None:
    tensors = LEARNT.tensors()
    del tensors[name]

    with pytest.raises(BundleError, match="familiarity"):
        Familiarity.from_tensors(tensors, FEATURES)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean": np.zeros(FEATURES - 1, dtype=np.float32)},
        {"components": np.eye(FEATURES, dtype=np.float32)[:1]},
        {"components": np.zeros((0, FEATURES), dtype=np.float32), "variances": np.zeros(0, dtype=np.float32)},
        {"variances": np.array([1.0, 0.0], dtype=np.float32)},
        {"scale": np.zeros(FEATURES, dtype=np.float32)},
        {"rest": np.array([-1.0], dtype=np.float32)},
        {"quantiles": np.linspace(1.0, 0.0, 101, dtype=np.float32)},
        {"quantiles": np.zeros(5, dtype=np.float32)},
    ],
    ids=lambda wrong: "-".join(wrong),
)
def test_tensors_that_do_not_fit_together_are_refused(wrong: dict[str, np.ndarray]) -> None:
    with pytest.raises(BundleError, match="familiarity"):
        replace(LEARNT, **wrong)


def test_a_tensor_that_nobody_reads_is_refused() -> None:
    with pytest.raises(BundleError, match="familiarity"):
        Familiarity.from_tensors({**LEARNT.tensors(), "familiarity.more": np.ones(1, dtype=np.float32)}, FEATURES)


def test_tensors_for_other_features_are_refused() -> None:
    with pytest.raises(BundleError, match="familiarity"):
        Familiarity.from_tensors(LEARNT.tensors(), FEATURES + 1)
