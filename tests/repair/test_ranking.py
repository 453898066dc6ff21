"""The order of candidates: by a mass that grows with hazard, suspicion and what the model prefers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from risk_lsp.edits.candidates import candidates
from risk_lsp.probe.calibration import Calibration
from risk_lsp.repair.embedded import FEATURES, HAZARD_FEATURES, RankingWeights, features, fitted_weights, masses
from risk_lsp.repair.harness import NO_EVIDENCE, Evidence
from risk_lsp.risk.risk_map import RiskMap

TEXT = "def f(a, b):\n    c = a - b\n    return c + 1\n"
FOUND = candidates(TEXT)
NOTHING = np.zeros(len(FOUND))


def risks(at: str, hazard: float) -> RiskMap:
    """One token per character; those of `at` have this hazard, the others next to none."""
    hazards = np.full(len(TEXT), 0.001, dtype=np.float32)
    place = TEXT.index(at)
    hazards[place : place + len(at)] = hazard
    offsets = np.arange(len(TEXT), dtype=np.int32)
    return RiskMap(len(TEXT), offsets, offsets + 1, hazards, Calibration(0.0, 1.0, 1.0))


def mass_on(line: str, mass: NDArray[np.float64]) -> float:
    place = TEXT.index(line)
    inside = [place <= each.edit.span.start <= place + len(line) for each in FOUND]
    return float(mass[inside].sum())


def test_masses_add_up_to_one() -> None:
    mass = masses(TEXT, FOUND, risks("c + 1", 0.5), NOTHING, NO_EVIDENCE, fitted_weights())

    assert mass.shape == (len(FOUND),)
    assert mass.sum() == pytest.approx(1)


def test_no_candidates_have_no_mass() -> None:
    assert masses(TEXT, [], risks("c + 1", 0.5), np.zeros(0), NO_EVIDENCE, fitted_weights()).shape == (0,)


def test_hazard_draws_mass_to_where_it_is() -> None:
    weights = RankingWeights({"token hazard": 1.0}, {}, 0.0)

    here, there = (masses(TEXT, FOUND, risks(at, 2.0), NOTHING, NO_EVIDENCE, weights) for at in ("c + 1", "a - b"))

    assert mass_on("return c + 1", here) > mass_on("return c + 1", there)


def test_suspicion_draws_mass_to_lines_that_ran_in_what_failed() -> None:
    evidence = Evidence({2: 1.0}, (), ())

    calm = masses(TEXT, FOUND, risks("b", 0.01), NOTHING, NO_EVIDENCE, fitted_weights())
    warned = masses(TEXT, FOUND, risks("b", 0.01), NOTHING, evidence, fitted_weights())

    assert mass_on("    return c + 1", warned) > mass_on("    return c + 1", calm)


def test_what_the_model_prefers_comes_earlier() -> None:
    preferred = NOTHING.copy()
    preferred[:] = -5.0
    plain = masses(TEXT, FOUND, risks("b", 0.01), preferred, NO_EVIDENCE, fitted_weights())
    preferred[3] = 4.0
    mass = masses(TEXT, FOUND, risks("b", 0.01), preferred, NO_EVIDENCE, fitted_weights())

    assert mass[3] > plain[3]


def test_blinded_weights_do_not_see_the_probe() -> None:
    weights = fitted_weights()
    weights = replace(weights, features=weights.features | dict.fromkeys(HAZARD_FEATURES, 0.0))

    here, there = (masses(TEXT, FOUND, risks(at, 2.0), NOTHING, NO_EVIDENCE, weights) for at in ("c + 1", "a - b"))

    assert np.array_equal(here, there)


def test_features_are_finite_for_every_candidate() -> None:
    columns = features(TEXT, FOUND, risks("c", 50.0), NOTHING, Evidence({1: 0.5}, (1,), ()))

    assert columns.shape == (len(FOUND), len(FEATURES))
    assert np.isfinite(columns).all()


def test_the_weights_that_ship_know_every_feature() -> None:
    assert set(fitted_weights().features) == set(FEATURES)
