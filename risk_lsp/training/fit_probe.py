"""Fitting of a span probe to labelled token features, with token, line and program terms."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from risk_lsp.errors import BadInput
from risk_lsp.probe.heads import Architecture, SpanHead, new_head
from risk_lsp.training.feature_store import FeatureStore

Loss = Literal["log", "brier"]


@dataclass(frozen=True)
class FitOptions:
    """How a probe is fitted. `patience`: epochs without a better validation loss before it stops."""

    architecture: Architecture = "hazard"
    hidden: int = 32
    loss: Loss = "log"
    epochs: int = 30
    patience: int = 5
    batch_programs: int = 48
    rate: float = 2e-4
    weight_decay: float = 0.05
    seed: int = 1


@dataclass(frozen=True)
class Fit:
    """A fitted head and how it came about: the validation loss after each epoch, the best of which was kept."""

    head: SpanHead
    validation_losses: tuple[float, ...]


def fit_head(
    store: FeatureStore,
    weights: NDArray[np.float64],
    validation: NDArray[np.bool_],
    options: FitOptions,
    columns: NDArray[np.int64] | None = None,
) -> Fit:
    """Fit a head on the programs outside `validation`, stopping early on those inside.

    `weights` float64[programs] says how often a program is drawn; `columns` picks features (all by default). Each of
    the token, line and program terms is a mean over its spans and counts the same (arXiv 2512.24560).
    """
    torch.manual_seed(options.seed)
    usable = (weights > 0) & store.has_tokens
    training = np.flatnonzero(~validation & usable)
    held_out = np.flatnonzero(validation & usable)
    if not len(training) or not len(held_out):
        raise BadInput(
            "too few labelled problems to fit a probe", "give programs of at least 20 problems, some failing"
        )
    width = store.features.shape[1] if columns is None else len(columns)
    head = new_head(options.architecture, width, options.hidden)
    _standardise(head, store.select(training[:: max(1, len(training) // 2000)], columns))
    optimizer = torch.optim.AdamW(head.parameters(), lr=options.rate, weight_decay=options.weight_decay)
    chooser = np.random.default_rng(options.seed)
    probabilities = weights[training] / weights[training].sum()
    best, best_loss, losses = copy.deepcopy(head.state_dict()), math.inf, []
    for _ in range(options.epochs):
        head.train()
        drawn = chooser.choice(training, size=len(training), p=probabilities)
        for batch in _batches(drawn, options.batch_programs):
            optimizer.zero_grad()
            loss = torch.stack(_terms(head, store.select(batch, columns), options.loss)).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        losses.append(_validation_loss(head, store, weights, held_out, options, columns))
        if losses[-1] < best_loss:
            best, best_loss = copy.deepcopy(head.state_dict()), losses[-1]
        elif len(losses) - 1 - int(np.argmin(losses)) >= options.patience:
            break
    head.load_state_dict(best)
    head.eval()
    return Fit(head, tuple(losses))


@torch.inference_mode()
def _validation_loss(
    head: SpanHead,
    store: FeatureStore,
    weights: NDArray[np.float64],
    programs: NDArray[np.int64],
    options: FitOptions,
    columns: NDArray[np.int64] | None,
) -> float:
    """Log-loss summed over the three terms, programs drawn by weight, always the same ones."""
    head.eval()
    probabilities = weights[programs] / weights[programs].sum()
    drawn = np.random.default_rng(0).choice(programs, size=len(programs), p=probabilities)
    sums = [
        sum(float(term) for term in _terms(head, store.select(batch, columns), "log")) for batch in _batches(drawn, 64)
    ]
    return float(np.mean(sums))


def _terms(head: SpanHead, batch: FeatureStore, loss: Loss) -> list[torch.Tensor]:
    """The token, line and program terms of a batch."""
    features = torch.from_numpy(batch.features).float()
    levels = (
        (np.arange(len(batch.token_edited)), batch.token_edited),
        (batch.token_line, batch.line_edited),
        (batch.token_program, batch.program_edited),
    )
    return [
        _span_loss(
            head.span_logits(features, torch.from_numpy(spans), len(labels)), torch.from_numpy(labels).float(), loss
        )
        for spans, labels in levels
    ]


def _span_loss(logits: torch.Tensor, labels: torch.Tensor, loss: Loss) -> torch.Tensor:
    if loss == "brier":
        return functional.mse_loss(torch.sigmoid(logits), labels)
    return functional.binary_cross_entropy_with_logits(logits, labels)


def _standardise(head: SpanHead, sample: FeatureStore) -> None:
    features = sample.features.astype(np.float32)
    head.encoder.mean.copy_(torch.from_numpy(features.mean(axis=0)))
    head.encoder.scale.copy_(torch.from_numpy(features.std(axis=0).clip(1e-3)))


def _batches(programs: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for first in range(0, len(programs), size):
        yield programs[first : first + size]
