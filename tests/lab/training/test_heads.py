"""The heads' batched arithmetic equals their definitions, computed span by span."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from risk_lsp.lab.training.heads import HazardHead, HeadKind, MaxPoolHead, Runs, pooled_probabilities
from risk_lsp.probe.layout import OFF_LINE
from tests.probe.tiny import random_head

FEATURES = 6
SEEDS = st.integers(0, 2**31)


def random_features(tokens: int, seed: int, size: float = 1.0) -> torch.Tensor:
    return torch.randn(tokens, FEATURES, generator=torch.Generator().manual_seed(seed)) * size


def random_spans(tokens: int, count: int, seed: int) -> torch.Tensor:
    return torch.randint(count, (tokens,), generator=torch.Generator().manual_seed(seed))


@given(SEEDS, st.sampled_from([0.01, 1.0, 1e6]))
def test_hazards_are_never_negative_and_always_finite(seed: int, size: float) -> None:
    hazards = random_head("hazard", FEATURES)(random_features(20, seed, size))

    assert bool((hazards >= 0).all()) and bool(torch.isfinite(hazards).all())


def test_a_fresh_hazard_head_expects_few_edits() -> None:
    head = HazardHead(FEATURES, 4).eval()
    torch.nn.init.zeros_(head.output.weight)

    assert head(random_features(1, 0)).item() == pytest.approx(0.018, abs=0.001)


@given(SEEDS, st.floats(-3, 3))
def test_hazard_span_logits_are_the_log_odds_of_the_frailty_formula(seed: int, log_theta: float) -> None:
    head = random_head("hazard", FEATURES)
    assert isinstance(head, HazardHead)
    torch.nn.init.constant_(head.log_theta, log_theta)
    features, spans = random_features(30, seed), random_spans(30, 5, seed)

    with torch.inference_mode():
        hazards = head(features).double().numpy()
        logits = head.span_logits(head(features), spans, 5).double().numpy()

    theta = float(np.exp(np.float64(head.log_theta.item())))
    for span in set(spans.tolist()):
        total = sum(hazards[index] for index in range(30) if spans[index] == span)
        probability = 1 - (1 + theta * total) ** (-1 / theta)
        assert logits[span] == pytest.approx(np.log(probability / (1 - probability)), rel=1e-3, abs=1e-4)


@given(SEEDS)
def test_max_pool_span_logits_are_one_linear_layer_over_each_spans_maxima(seed: int) -> None:
    head = random_head("max_pool", FEATURES)
    assert isinstance(head, MaxPoolHead)
    features, spans = random_features(30, seed), random_spans(30, 5, seed)

    with torch.inference_mode():
        encoded = head(features)
        logits = head.span_logits(encoded, spans, 5)

    weight, bias = head.output.weight.detach()[0], head.output.bias.item()
    for span in set(spans.tolist()):
        maxima = torch.stack([encoded[index] for index in range(30) if spans[index] == span]).max(dim=0).values
        assert logits[span].item() == pytest.approx(float(maxima @ weight) + bias, abs=1e-4)


def test_max_pool_probabilities_are_of_the_maxima_of_any_span_and_none_of_an_empty_one() -> None:
    head = random_head("max_pool", FEATURES)
    assert isinstance(head, MaxPoolHead)
    features = random_features(9, 1)
    first, last = np.triu_indices(10)
    with torch.inference_mode():
        values = head(features)

    found = pooled_probabilities(head, values.double().numpy(), first, last)

    for start, end, probability in zip(first, last, found, strict=True):
        with torch.inference_mode():
            logits = head.span_logits(values[start:end], torch.zeros(int(end - start), dtype=torch.int64), 1)
        assert probability == pytest.approx(torch.sigmoid(logits).item() if end > start else 0.0, abs=1e-6)


@pytest.mark.parametrize("architecture", ["hazard", "max_pool"])
def test_a_token_is_read_by_itself_whatever_stands_around_it(architecture: HeadKind) -> None:
    head = random_head(architecture, FEATURES)
    features = random_features(8, 1)

    with torch.inference_mode():
        together, alone = head(features), torch.cat([head(features[index : index + 1]) for index in range(8)])

    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)


def test_outliers_are_clipped_before_they_are_read() -> None:
    head = random_head("hazard", FEATURES)
    far = torch.full((1, FEATURES), 1e9)

    torch.testing.assert_close(head(far), head(far * 1e9))


def runs_of(lengths: list[int]) -> Runs:
    """Texts of so many tokens, every third of which ends a line and every fifth of which is on none."""
    lines = [-(-length // 3) for length in lengths]
    firsts = np.cumsum([0, *lines])
    numbered = [
        first + token // 3 if token % 5 else OFF_LINE
        for first, length in zip(firsts.tolist(), lengths, strict=False)
        for token in range(length)
    ]
    return Runs(torch.tensor(lengths), torch.tensor(lines), torch.tensor(numbered, dtype=torch.int64))


@given(st.lists(st.integers(0, 12), min_size=1, max_size=5), SEEDS)
def test_a_probe_that_looks_around_reads_each_text_by_itself(lengths: list[int], seed: int) -> None:
    head = random_head("lines", FEATURES)
    features = random_features(sum(lengths), seed)

    with torch.inference_mode():
        together = head(features, runs_of(lengths))
        alone = torch.cat([head(text, runs_of([len(text)])) for text in torch.split(features, lengths)])

    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("place", [1, 19])
def test_a_probe_that_looks_around_sees_what_comes_before_a_token_and_what_comes_after(place: int) -> None:
    head = random_head("lines", FEATURES)
    features = random_features(20, 1)
    changed = features.clone()
    changed[place] += 1

    with torch.inference_mode():
        assert head(features, runs_of([20]))[11] != head(changed, runs_of([20]))[11]
