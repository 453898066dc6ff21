"""What a probe is fitted by: the losses of its tokens, lines and programs, and of the order of its lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from risk_lsp.lab.training.feature_store import FeatureStore
from risk_lsp.lab.training.heads import HeadKind, Runs, SpanHead
from risk_lsp.probe.features import OFF_LINE

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FitOptions:
    """How a probe is fitted. `patience`: epochs without a better validation loss before it stops.

    `shares`: what the token, line and program terms count. `members`: probes from as many seeds, whose hazards are
    averaged. `averaging`: what is kept is an exponential moving average of the weights, of which each step leaves this
    share as it was (Polyak and Juditsky 1992); 0 keeps the weights themselves. `ranking`: what the order of the lines
    of failing programs counts (see ranking_loss); a max_pool head has no such term.
    """

    architecture: HeadKind = "hazard"
    hidden: int = 32
    epochs: int = 30
    patience: int = 3
    batch_programs: int = 48
    rate: float = 2e-4
    weight_decay: float = 0.05
    shares: tuple[float, float, float] = (1.0, 1.0, 1.0)
    seed: int = 1
    members: int = 1
    averaging: float = 0.0
    ranking: float = 0.0


def batch_loss(
    head: SpanHead, features: torch.Tensor, batch: FeatureStore, emphasis: Floats, options: FitOptions
) -> torch.Tensor:
    """The token, line and program terms of a batch, and that of the order of lines as far as it counts, summed.

    `features` float[tokens of the batch, features] are what the head sees; those of `batch` are not looked at.
    `emphasis` float64[programs of the batch].
    """
    by_token, by_line = (
        torch.from_numpy(_shares(emphasis, program)).float() for program in (batch.token_program, batch.line_program)
    )
    values = head(features, runs_of(batch))
    on_line = torch.from_numpy(batch.token_line != OFF_LINE)
    token_line, token_program = torch.from_numpy(batch.token_line), torch.from_numpy(batch.token_program)
    levels = (
        (values, torch.arange(len(values)), batch.token_edited, by_token),
        (values[on_line], token_line[on_line], batch.line_edited, by_line),
        (values, token_program, batch.program_edited, torch.ones(len(emphasis))),
    )
    terms = [
        share * _term(head.span_logits(tokens, spans, len(edited)), torch.from_numpy(edited).float(), weights)
        for share, (tokens, spans, edited, weights) in zip(options.shares, levels, strict=True)
    ]
    if options.ranking and values.dim() == 1:
        terms.append(options.ranking * ranking_loss(values, batch))
    return torch.stack(terms).sum()


def _term(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The weighted mean loss over the spans of one level; 0 for spans that all weigh nothing."""
    losses = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return (losses * weights).sum() / weights.sum().clamp(min=1e-9)


def _shares(emphasis: Floats, program: NDArray[np.int64]) -> Floats:
    """What each span of a batch counts: those of a program share its emphasis, as they do in every figure."""
    return (emphasis / np.maximum(np.bincount(program, minlength=len(emphasis)), 1))[program]


def ranking_loss(hazards: torch.Tensor, batch: FeatureStore) -> torch.Tensor:
    """How far the edited lines of failing programs are from holding all of the hazard: mean -log of their share.

    `hazards` float[tokens of the batch]. A listwise loss (ListNet, Cao et al. 2007): it depends on the order of lines
    alone, not on the level. 0 for a batch without a failing program whose fix is known.
    """
    line = torch.from_numpy(batch.token_line)
    edited = torch.from_numpy(batch.line_edited)
    scored = torch.from_numpy(batch.line_scored)
    on_line = line != OFF_LINE
    sums = hazards.new_zeros(len(edited)).index_add(0, line[on_line], hazards[on_line]) * scored
    program = torch.from_numpy(batch.line_program)
    empty = hazards.new_zeros(len(batch.program_edited))
    wanted, total = empty.index_add(0, program, sums * edited), empty.index_add(0, program, sums)
    counted = wanted > 0
    if not counted.any():
        return hazards.sum() * 0
    return (total[counted].log() - wanted[counted].log()).mean()


def runs_of(store: FeatureStore) -> Runs:
    """How the tokens of a store make up lines, and the parts that are read each by itself."""
    tokens, lines = (
        torch.from_numpy(np.bincount(part, minlength=len(store.part_program)))
        for part in (store.token_part, store.line_part)
    )
    return Runs(tokens, lines, torch.from_numpy(store.token_line))
