"""A probe finds a signal that is there, and stops when there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.metrics import auc
from risk_lsp.lab.training.feature_store import FeatureStore, WeightedPrograms
from risk_lsp.lab.training.fit_calibration import token_values
from risk_lsp.lab.training.fit_probe import FitOptions, fit_head, fit_probe, runs_of
from risk_lsp.lab.training.heads import SpanHead
from risk_lsp.probe.token_hazards import ARCHITECTURES, Architecture
from tests.lab.training.makers import evenly, store_of, weighted

PROGRAMS, LINES, TOKENS, FEATURES = 240, 3, 4, 6
VALIDATION = np.arange(PROGRAMS) % 5 == 0
EVENLY = np.ones(PROGRAMS)
OPTIONS = FitOptions(hidden=16, rate=1e-2, epochs=12)


def planted(seed: int, *, signal: bool = True) -> FeatureStore:
    """Tokens of which one in twelve is edited; a direction in feature space tells which, or nothing does."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(PROGRAMS * LINES * TOKENS, FEATURES)) * 3 + 10
    direction = np.array([1.0, -1.0, 0.5, 0, 0, 0])
    edited = (features - 10) @ direction > np.quantile((features - 10) @ direction, 11 / 12)
    return store_of(features, edited if signal else random.permutation(edited), TOKENS, LINES)


def span_scores(head: SpanHead, store: FeatureStore, spans: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    with torch.inference_mode():
        values = head(torch.from_numpy(store.features).float(), runs_of(store))
        logits = head.span_logits(values, torch.from_numpy(spans), count)
    return logits.double().numpy()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_planted_signal_is_found_at_every_level(architecture: Architecture) -> None:
    head = fit_head(evenly(planted(1)), VALIDATION, replace(OPTIONS, architecture=architecture)).head

    fresh = planted(2)
    tokens = np.arange(len(fresh.token_edited))
    assert auc(span_scores(head, fresh, tokens, len(tokens)), fresh.token_edited) > 0.9
    assert auc(span_scores(head, fresh, fresh.token_line, len(fresh.line_edited)), fresh.line_edited) > 0.9
    assert auc(span_scores(head, fresh, fresh.token_program, PROGRAMS), fresh.program_edited) > 0.85


def test_an_ensemble_gives_the_mean_of_the_hazards_of_probes_from_its_seeds() -> None:
    data, options = evenly(planted(1)), replace(OPTIONS, architecture="lines", epochs=2)
    together = fit_probe(data, VALIDATION, replace(options, members=2)).head
    alone = [fit_head(data, VALIDATION, replace(options, seed=options.seed + number)).head for number in range(2)]

    expected = np.mean([token_values(head, data.store) for head in alone], axis=0)
    np.testing.assert_allclose(token_values(together, data.store), expected, rtol=1e-5)


def test_an_ensemble_of_probes_without_hazards_is_refused() -> None:
    with pytest.raises(BadInput, match="max_pool"):
        fit_probe(evenly(planted(1)), VALIDATION, replace(OPTIONS, architecture="max_pool", members=2))


def test_the_validation_loss_of_each_epoch_is_told_when_it_is_known() -> None:
    told: list[float] = []
    options = replace(OPTIONS, architecture="lines", epochs=2, members=2)

    fit = fit_probe(evenly(planted(1)), VALIDATION, options, on_epoch=told.append)

    assert told == list(fit.validation_losses)


def test_fitting_stops_early_where_there_is_nothing_to_find() -> None:
    fit = fit_head(evenly(planted(1, signal=False)), VALIDATION, replace(OPTIONS, epochs=100, patience=3))

    assert len(fit.validation_losses) < 50


def test_fitting_stops_as_many_epochs_after_the_best_as_it_has_patience() -> None:
    losses = fit_head(
        evenly(planted(1, signal=False)), VALIDATION, replace(OPTIONS, epochs=100, patience=3)
    ).validation_losses

    assert len(losses) - 1 - int(np.argmin(losses)) == 3


def test_what_is_kept_with_averaging_is_the_moving_average_of_the_weights_after_each_step() -> None:
    two_steps = replace(OPTIONS, epochs=1, batch_programs=PROGRAMS // 2)
    first, last, between = (
        fit_head(evenly(planted(1)), VALIDATION, replace(two_steps, averaging=share)).head.state_dict()
        for share in (1.0, 0.0, 0.75)
    )

    assert not torch.equal(first["output.weight"], last["output.weight"])
    for name in first:
        torch.testing.assert_close(between[name], 0.75 * first[name] + 0.25 * last[name])


def test_the_same_seed_gives_the_same_probe() -> None:
    options = replace(OPTIONS, epochs=2)
    first, second = (fit_head(evenly(planted(1)), VALIDATION, options).head.state_dict() for _ in range(2))

    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_fitted_head_does_not_drop_features_out() -> None:
    assert not fit_head(evenly(planted(1)), VALIDATION, replace(OPTIONS, epochs=1)).head.training


def test_features_are_standardised_by_the_training_programs() -> None:
    head = fit_head(evenly(planted(1)), VALIDATION, replace(OPTIONS, epochs=1)).head

    np.testing.assert_allclose(head.encoder.mean.numpy(), 10, atol=0.3)
    np.testing.assert_allclose(head.encoder.scale.numpy(), 3, atol=0.3)


def test_a_program_that_weighs_nothing_teaches_nothing() -> None:
    store, weights = planted(1), EVENLY.copy()
    weights[100:] = 0
    spoilt = replace(store, features=np.where((store.token_program >= 100)[:, None], np.float16(999), store.features))

    options = replace(OPTIONS, epochs=2)
    first = fit_head(weighted(store, weights), VALIDATION, options).head.state_dict()
    second = fit_head(weighted(spoilt, weights), VALIDATION, options).head.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_only_the_columns_that_were_chosen_are_read() -> None:
    head = fit_head(evenly(planted(1)), VALIDATION, replace(OPTIONS, epochs=1), columns=np.array([0, 2])).head

    assert head.encoder.mean.shape == (2,)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_blank_programs_teach_nothing(architecture: Architecture) -> None:
    store = planted(1)
    blank = replace(store, program_edited=np.append(store.program_edited, [True] * 30))
    weights, validation = np.append(EVENLY, [1.0] * 30), np.append(VALIDATION, [True] * 15 + [False] * 15)

    options = replace(OPTIONS, architecture=architecture, epochs=2)
    with_blank = fit_head(weighted(blank, weights), validation, options).validation_losses
    assert with_blank == fit_head(evenly(store), VALIDATION, options).validation_losses


@pytest.mark.parametrize("validation", [np.zeros(PROGRAMS, dtype=bool), np.ones(PROGRAMS, dtype=bool)])
def test_too_few_problems_for_training_or_validation_are_refused(validation: NDArray[np.bool_]) -> None:
    with pytest.raises(BadInput, match="too few labelled problems"):
        fit_head(evenly(planted(1)), validation, OPTIONS)


def test_a_failing_program_whose_fix_is_unknown_teaches_that_programs_like_it_fail_and_nothing_about_its_lines() -> (
    None
):
    store = planted(1)
    # The failing programs are told apart by one feature; no token or line of theirs is known to be edited.
    failing = np.arange(PROGRAMS) % 2 == 0
    features = store.features.copy()
    features[:, 5] = failing[store.token_program]
    unknown = replace(
        store,
        features=features,
        token_edited=np.zeros_like(store.token_edited),
        line_edited=np.zeros_like(store.line_edited),
        program_edited=failing,
    )
    data = WeightedPrograms(unknown, EVENLY, np.where(failing, 0.0, 1.0))
    head = fit_head(data, VALIDATION, OPTIONS).head

    assert auc(span_scores(head, unknown, unknown.token_program, PROGRAMS), failing) > 0.95
    lines = span_scores(head, unknown, unknown.token_line, len(unknown.line_edited))
    assert lines[failing[unknown.line_program]].mean() > lines[~failing[unknown.line_program]].mean() + 1
