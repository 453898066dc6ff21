"""The probe at work on one text's activations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from risk_lsp.lab.training.heads import HazardEnsemble, HazardHead, HazardProbe, Runs, reader_of, tensors_of
from risk_lsp.model.code_model import Activations
from risk_lsp.model.tokenizer import Encoding
from risk_lsp.probe import token_hazards as reading_module
from risk_lsp.probe.bundle import Bundle, load_bundle
from risk_lsp.probe.calibration import Familiarity
from risk_lsp.probe.layout import token_layout
from risk_lsp.probe.token_hazards import (
    ARCHITECTURES,
    Architecture,
    ProbeReader,
    feature_count,
    read_tokens,
    text_distance,
    token_features,
    uses_layout,
)
from risk_lsp.text.structure import sections
from tests.probe.tiny import SAMPLE, WIDTH, random_head


@pytest.fixture(scope="module", params=ARCHITECTURES)
def loaded(request: pytest.FixtureRequest, bundles: dict[str, Path]) -> Bundle:
    return load_bundle(bundles[request.param])


@pytest.fixture
def head(loaded: Bundle) -> HazardHead:
    """The probe as it was when it was fitted."""
    architecture = loaded.manifest.architecture
    features = feature_count(2, WIDTH, statistics=True, layout=uses_layout(architecture))
    head = random_head(architecture, features)
    assert isinstance(head, HazardHead)
    return head


def read(loaded: Bundle, text: str) -> Activations:
    return loaded.model.read(loaded.model.encode(text), loaded.manifest.layers, statistics=True)


def fitted_values(head: HazardProbe, activations: Activations) -> torch.Tensor:
    """What the head gives for the tokens of SAMPLE."""
    features = token_features(activations, statistics=True)
    parts = sections(SAMPLE)
    layout = token_layout(SAMPLE, activations.encoding.starts, activations.encoding.ends, parts)
    if uses_layout(head.architecture):
        features = np.concatenate([layout.columns, features], axis=1)
    tokens, lines = (
        torch.from_numpy(np.bincount(each, minlength=len(parts))) for each in (layout.part, layout.line_part)
    )
    runs = Runs(tokens, lines, torch.from_numpy(layout.line))
    with torch.inference_mode():
        values: torch.Tensor = head(torch.from_numpy(features), runs)
    return values


def test_values_are_what_the_fitted_head_gives_for_the_tokens_features(loaded: Bundle, head: HazardHead) -> None:
    activations = read(loaded, SAMPLE)
    reading = read_tokens(loaded.reader, SAMPLE, activations, loaded.manifest)

    np.testing.assert_allclose(reading.values, fitted_values(head, activations).numpy(), atol=1e-6)


def test_the_reading_scores_a_token_as_the_fitted_head_does(loaded: Bundle, head: HazardHead) -> None:
    activations = read(loaded, SAMPLE)
    each = torch.arange(len(activations.encoding))
    reading = read_tokens(loaded.reader, SAMPLE, activations, loaded.manifest)

    with torch.inference_mode():
        expected = head.span_logits(fitted_values(head, activations), each, len(each)).numpy()

    theta = float(head.state_dict()["log_theta"].exp())
    logits = np.log((1 + theta * reading.values.astype(np.float64)) ** (1 / theta) - 1)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("architecture", ["hazard", "lines"])
def test_an_ensemble_is_read_as_it_was_fitted(bundles: dict[str, Path], architecture: Architecture) -> None:
    loaded = load_bundle(bundles[architecture])
    features = feature_count(2, WIDTH, statistics=True, layout=uses_layout(architecture))
    first, second = (random_head(architecture, features, seed=seed) for seed in (3, 4))
    assert isinstance(first, HazardHead) and isinstance(second, HazardHead)
    # What members of an ensemble have in common, for they are fitted to the same programs.
    second.encoder.mean, second.encoder.scale = first.encoder.mean, first.encoder.scale
    ensemble = HazardEnsemble([first, second])
    activations = read(loaded, SAMPLE)

    reading = read_tokens(reader_of(ensemble), SAMPLE, activations, loaded.manifest)

    np.testing.assert_allclose(reading.values, fitted_values(ensemble, activations).numpy(), atol=1e-6)


def test_novelty_is_the_share_of_calibration_texts_that_are_nearer(loaded: Bundle) -> None:
    activations = read(loaded, SAMPLE)
    distance = text_distance(loaded.reader, SAMPLE, activations, statistics=True)
    below = [distance / 2] * 80 + [distance * 2] * 21
    manifest = replace(loaded.manifest, novelty={"quantiles": below})

    assert read_tokens(loaded.reader, SAMPLE, activations, manifest).novelty == pytest.approx(0.79, abs=0.011)


def test_without_a_table_there_is_no_novelty(loaded: Bundle) -> None:
    manifest = replace(loaded.manifest, novelty={})

    assert read_tokens(loaded.reader, SAMPLE, read(loaded, SAMPLE), manifest).novelty is None


@pytest.mark.parametrize("architecture", ["hazard", "lines"])
def test_a_part_of_a_text_is_read_as_if_it_stood_alone(
    bundles: dict[str, Path], architecture: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_bundle(bundles[architecture])
    text = SAMPLE * 12  # more tokens than are read at once
    monkeypatch.setattr(reading_module, "_TOKENS_AT_ONCE", 300)
    activations = read(loaded, text)
    reading = read_tokens(loaded.reader, text, activations, loaded.manifest)

    for part in sections(text):
        inside = np.flatnonzero((activations.encoding.starts >= part.start) & (activations.encoding.starts < part.end))
        alone = activations.some(inside)
        starts, ends = alone.encoding.starts - part.start, alone.encoding.ends - part.start
        alone = replace(alone, encoding=Encoding(alone.encoding.token_ids, starts, ends))
        expected = read_tokens(loaded.reader, text[part.start : part.end], alone, loaded.manifest)
        np.testing.assert_allclose(reading.values[inside], expected.values, rtol=1e-4, atol=1e-7)


def test_of_tokens_that_are_known_the_level_is_that_of_the_whole_part(bundles: dict[str, Path]) -> None:
    loaded = load_bundle(bundles["hazard"])
    activations = read(loaded, SAMPLE)
    known = np.arange(0, len(activations.encoding), 2)
    calibration = replace(loaded.manifest.calibration, document=0.5)
    manifest = replace(loaded.manifest, calibration=calibration)

    reading = read_tokens(loaded.reader, SAMPLE, activations.some(known), manifest, activations.encoding)

    raw = read_tokens(loaded.reader, SAMPLE, activations.some(known), loaded.manifest, activations.encoding).values
    starts = activations.encoding.starts
    for part in sections(SAMPLE):
        everywhere = (starts >= part.start) & (starts < part.end)
        inside = everywhere[known]
        total = raw[inside].sum(dtype=np.float64) * everywhere.sum() / inside.sum()
        np.testing.assert_allclose(reading.values[inside], raw[inside] * calibration.factor(total), rtol=1e-4)


def familiarity(features: int, *, far: bool) -> dict[str, NDArray[np.float32]]:
    """Tensors by which no text is like those that a probe learnt from, or every text is."""
    quantiles = np.linspace(1e-7, 1e-6, 101) if far else np.linspace(1e6, 1e7, 101)
    arrays = (np.zeros(features), np.ones(features), np.eye(1, features), np.ones(1), np.ones(1), quantiles)
    return Familiarity(*(array.astype(np.float32) for array in arrays)).tensors()


def totals_by_part(loaded: Bundle, head: HazardHead, *, far: bool) -> NDArray[np.float64]:
    """The sum of the values of each part of SAMPLE, as a probe with such tensors of familiarity reads it."""
    seen = feature_count(2, WIDTH, statistics=True)
    reader = ProbeReader(loaded.manifest.architecture, tensors_of(head) | familiarity(seen, far=far))
    activations = read(loaded, SAMPLE)
    values = read_tokens(reader, SAMPLE, activations, loaded.manifest).values
    cuts = [part.start for part in sections(SAMPLE)][1:]
    parts = np.searchsorted(cuts, activations.encoding.starts, side="right")
    return np.bincount(parts, values).astype(np.float64)


def test_a_part_like_those_learnt_from_has_the_level_that_the_probe_gives_it(loaded: Bundle, head: HazardHead) -> None:
    activations = read(loaded, SAMPLE)
    as_it_is = read_tokens(loaded.reader, SAMPLE, activations, loaded.manifest).values.sum()

    assert totals_by_part(loaded, head, far=False).sum() == pytest.approx(as_it_is, rel=1e-5)


def test_every_part_unlike_those_learnt_from_has_the_same_level(loaded: Bundle, head: HazardHead) -> None:
    assert totals_by_part(loaded, head, far=True) == pytest.approx(1.0, rel=1e-4)
