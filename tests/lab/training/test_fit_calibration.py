"""The one map from hazards to probabilities, recovered from data that such a map made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.training.feature_store import FeatureStore, WeightedPrograms
from risk_lsp.lab.training.fit_calibration import (
    fit_calibration,
    fit_familiarity,
    fit_looks,
    part_belief,
    scaled_by_text,
    token_values,
)
from risk_lsp.lab.training.heads import HazardHead, tensors_of
from risk_lsp.probe.calibration import Calibration
from risk_lsp.probe.layout import LOOKS, TokenLayout, weigh_lines
from risk_lsp.probe.token_hazards import ProbeReader
from tests.lab.training.makers import evenly, store_of, weighted
from tests.probe.tiny import random_head

PROGRAMS, LINES, TOKENS = 3000, 3, 4


@pytest.fixture(scope="module")
def head() -> HazardHead:
    found = random_head("hazard", 5)
    assert isinstance(found, HazardHead)
    # Hazards of tokens from a tenth to ten: the map is known only where there is data.
    found.output.weight.data.mul_(6).abs_()
    found.output.bias.data.fill_(-1)
    return found


def simulated(head: HazardHead, truth: Calibration, seed: int = 0) -> FeatureStore:
    """Programs whose tokens, lines and outcome are edited with the probability that `truth` gives their hazards."""
    random = np.random.default_rng(seed)
    count = PROGRAMS * LINES * TOKENS
    store = store_of(random.normal(size=(count, 5)) * 2, np.zeros(count, dtype=bool), TOKENS, LINES)
    hazards = scaled_by_text(token_values(head, store), store, truth)
    by_line, by_program = (
        np.bincount(ids, hazards).astype(np.float64) for ids in (store.token_line, store.token_program)
    )
    tokens, lines, programs = (
        random.random(len(sums)) < truth.probability(sums) for sums in (hazards, by_line, by_program)
    )
    return replace(store, token_edited=tokens, line_edited=lines, program_edited=programs)


def calibrated(head: HazardHead, data: WeightedPrograms) -> Calibration:
    return fit_calibration(token_values(head, data.store), data)[0]


@pytest.mark.parametrize(
    "truth",
    [
        Calibration(1.0, 1.0, 1.0),
        Calibration(2.0, 0.3, 0.7),
        Calibration(0.2, 0.1, 1.3),
        Calibration(1.0, 0.3, 0.8, document=2.0),
    ],
    ids=["as trained", "too sure", "not sure enough", "texts differ more than their parts"],
)
def test_the_probabilities_that_made_the_data_are_recovered(head: HazardHead, truth: Calibration) -> None:
    store = simulated(head, truth)
    found = calibrated(head, evenly(store))

    ours, theirs = (probabilities_of_lines(head, store, calibration) for calibration in (found, truth))
    assert np.abs(ours - theirs).mean() < 0.01
    assert np.abs(ours - theirs).max() < 0.1


def test_texts_that_differ_more_than_their_parts_do_are_told_from_others(head: HazardHead) -> None:
    truth = Calibration(1.0, 0.3, 0.8, document=2.0)

    assert calibrated(head, evenly(simulated(head, truth))).document == pytest.approx(2.0, rel=0.2)
    assert calibrated(head, evenly(simulated(head, replace(truth, document=1.0)))).document == pytest.approx(1, rel=0.2)


def probabilities_of_lines(head: HazardHead, store: FeatureStore, calibration: Calibration) -> NDArray[np.float64]:
    hazards = scaled_by_text(token_values(head, store), store, calibration)
    return calibration.probability(np.bincount(store.token_line, hazards).astype(np.float64))


def test_programs_that_weigh_nothing_do_not_count(head: HazardHead) -> None:
    store, weights = simulated(head, Calibration(1.0, 0.5, 1.0)), np.ones(PROGRAMS)
    weights[1000:] = 0
    flipped = replace(
        store,
        token_edited=store.token_edited ^ (store.token_program >= 1000),
        line_edited=store.line_edited ^ (store.line_program >= 1000),
        program_edited=store.program_edited ^ (np.arange(PROGRAMS) >= 1000),
    )

    assert calibrated(head, weighted(flipped, weights)) == calibrated(head, weighted(store, weights))


def test_lines_that_are_not_scored_do_not_count(head: HazardHead) -> None:
    store = simulated(head, Calibration(1.0, 0.5, 1.0))
    scored = np.arange(len(store.line_edited)) % 2 == 0
    some = replace(store, line_scored=scored)
    flipped = replace(
        some,
        token_edited=store.token_edited ^ ~scored[store.token_line],
        line_edited=store.line_edited ^ ~scored,
    )

    assert calibrated(head, evenly(flipped)) == calibrated(head, evenly(some))


@pytest.mark.parametrize("edited", [True, False])
def test_data_with_only_one_outcome_is_refused(head: HazardHead, edited: bool) -> None:
    store = simulated(head, Calibration())
    same = replace(store, program_edited=np.full(PROGRAMS, edited))

    with pytest.raises(BadInput, match="only one outcome"):
        calibrated(head, evenly(same))


def test_hazards_can_be_read_from_some_of_the_columns(head: HazardHead) -> None:
    store = simulated(head, Calibration())
    wider = replace(store, features=np.concatenate([store.features * 0, store.features], axis=1))

    np.testing.assert_allclose(token_values(head, wider, np.arange(5, 10)), token_values(head, store), rtol=1e-4)


FEATURES = 5


def learnt_texts(head: HazardHead, seed: int, shift: float = 0.0) -> FeatureStore:
    """300 texts of two lines around one place, or `shift` spreads from it."""
    random = np.random.default_rng(seed)
    around = np.repeat(random.normal(size=(300, FEATURES)), 2 * TOKENS, axis=0) + shift
    return store_of(around + random.normal(size=around.shape) / 10, np.zeros(len(around), dtype=bool), TOKENS, 2)


def test_texts_like_those_learnt_from_are_believed_and_others_are_not(head: HazardHead) -> None:
    familiarity = fit_familiarity(head, learnt_texts(head, 1), learnt_texts(head, 2))

    own, strange = (part_belief(familiarity, head, learnt_texts(head, 3, shift)) for shift in (0.0, 8.0))

    assert own.mean() > 0.6
    assert strange.max() == 0.0


def test_the_program_that_ships_believes_a_text_as_far_as_it_was_calibrated_with(head: HazardHead) -> None:
    familiarity = fit_familiarity(head, learnt_texts(head, 1), learnt_texts(head, 2))
    store = learnt_texts(head, 3)
    reader = ProbeReader("hazard", tensors_of(head) | familiarity.tensors())
    columns, place = np.zeros((0, 0), dtype=np.float32), (store.token_part, store.line_part)
    layout = TokenLayout(store.token_line, columns, *place, store.line_looks)

    found = reader.belief(reader.standardise(store.features.astype(np.float32)), layout, len(store.part_program))

    np.testing.assert_allclose(found, part_belief(familiarity, head, store), atol=1e-4)


def test_without_belief_every_text_has_the_same_total(head: HazardHead) -> None:
    store = simulated(head, Calibration())

    scaled = scaled_by_text(token_values(head, store), store, Calibration(document=1.7), np.zeros(PROGRAMS))

    np.testing.assert_allclose(np.bincount(store.token_part, scaled), 1.0)


def test_looks_that_edited_lines_have_are_found_and_count_as_far_as_they_tell(head: HazardHead) -> None:
    store = simulated(head, Calibration())
    random = np.random.default_rng(5)
    looks = random.normal(size=(PROGRAMS * LINES, LOOKS)).astype(np.float32)
    hazards = token_values(head, store)
    weighed = weigh_lines(hazards, store.token_line, store.line_part, 1.5 * looks[:, 2].astype(np.float64))
    sums = (weighed, *(np.bincount(ids, weighed).astype(np.float64) for ids in (store.token_line, store.token_program)))
    tokens, lines, programs = (random.random(len(each)) < Calibration(scale=0.1).probability(each) for each in sums)
    seen = replace(store, line_looks=looks, token_edited=tokens, line_edited=lines, program_edited=programs)
    data = evenly(seen)

    weights = fit_looks(data)
    _, strength = fit_calibration(hazards, data, looks=looks @ weights)

    assert np.abs(weights).argmax() == 2
    assert strength * weights[2] == pytest.approx(1.5, rel=0.3)


def test_looks_that_no_line_differs_in_get_no_say(head: HazardHead) -> None:
    assert not fit_looks(evenly(simulated(head, Calibration()))).any()
