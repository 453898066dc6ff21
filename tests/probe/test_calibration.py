"""Calibration: one monotone map for all spans."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk_lsp.errors import BundleError
from risk_lsp.probe.calibration import Calibration
from tests.risk.maps import calibrations


@settings(max_examples=500)
@given(calibrations, st.floats(0.0, 1e30), st.integers(1, 3))
def test_neighbouring_hazard_sums_never_swap(calibration: Calibration, hazard: float, steps: int) -> None:
    above = hazard
    for _ in range(steps):
        above = float(np.nextafter(above, np.inf))
    smaller, larger = (float(calibration.probability(np.array([value]))[0]) for value in (hazard, above))
    assert smaller <= larger


@given(calibrations, st.just(0.0) | st.floats(1e-30, 1e6))
def test_the_formula_holds_to_six_digits(calibration: Calibration, hazard: float) -> None:
    grown = calibration.scale * hazard**calibration.power
    theta = calibration.theta
    survival = np.exp(-grown) if theta < 1e-9 else np.exp(-np.log1p(theta * grown) / theta)
    assert float(calibration.probability(np.array(hazard))) == pytest.approx(1 - survival, rel=1e-5, abs=1e-6)


def test_no_hazard_is_probability_zero_and_endless_hazard_is_one() -> None:
    assert Calibration(0.5, 2.0, 0.7).probability(np.array([0.0, np.inf])).tolist() == [0.0, 1.0]


@given(calibrations)
def test_parameters_survive_the_manifest(calibration: Calibration) -> None:
    assert Calibration.from_json(calibration.to_json()) == calibration


@pytest.mark.parametrize(
    ("name", "value"),
    [("theta", -0.1), ("theta", float("nan")), ("scale", 0.0), ("scale", float("inf")), ("power", -1.0)],
)
def test_a_parameter_outside_of_its_range_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(BundleError, match=f"{name} is {value}"):
        Calibration(**{name: value})


@pytest.mark.parametrize(
    "value", [None, [], {"theta": 1.0}, {"theta": 0, "scale": "1", "power": 1}, {"theta": 0, "scale": True, "power": 1}]
)
def test_anything_but_three_numbers_is_refused_from_a_manifest(value: Any) -> None:
    with pytest.raises(BundleError, match="calibration: theta, scale"):
        Calibration.from_json(value)


def test_a_bundle_from_before_the_factor_of_a_text_has_none() -> None:
    assert Calibration.from_json({"theta": 0.5, "scale": 1.0, "power": 1.0}).document == 1.0


def test_the_hazards_of_a_text_sum_up_to_a_power_of_their_total() -> None:
    calibration = Calibration(document=2.0)
    hazards = np.array([0.5, 1.0, 2.5])

    assert (hazards * calibration.factor(hazards.sum())).sum() == pytest.approx(hazards.sum() ** 2)
    assert np.isfinite(calibration.factor(np.zeros(2))).all()
