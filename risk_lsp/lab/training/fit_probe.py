"""Fitting of a span probe to labelled token features, with token, line and program terms."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from risk_lsp.errors import BadInput
from risk_lsp.lab.training.feature_store import FeatureStore, WeightedPrograms
from risk_lsp.lab.training.heads import FittedHead, HazardEnsemble, HazardHead, HeadKind, Runs, SpanHead, new_head
from risk_lsp.probe.layout import LAYOUT, OFF_LINE, PLACE_COLUMNS, place_columns
from risk_lsp.probe.token_hazards import ARCHITECTURES

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
    # Spans of a program share its emphasis, as they do in every figure.
    by_token, by_line = (
        torch.from_numpy((emphasis / np.maximum(np.bincount(program, minlength=len(emphasis)), 1))[program]).float()
        for program in (batch.token_program, batch.line_program)
    )
    values = head(features, runs_of(batch))
    on_line = torch.from_numpy(batch.token_line != OFF_LINE)
    token_line, token_program = torch.from_numpy(batch.token_line), torch.from_numpy(batch.token_program)
    levels = (
        (values, torch.arange(len(values)), batch.token_edited, by_token),
        (values[on_line], token_line[on_line], batch.line_edited, by_line),
        (values, token_program, batch.program_edited, torch.ones(len(emphasis))),
    )
    terms = []
    for share, (tokens, spans, edited, weights) in zip(options.shares, levels, strict=True):
        logits, labels = head.span_logits(tokens, spans, len(edited)), torch.from_numpy(edited).float()
        losses = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        terms.append(share * ((losses * weights).sum() / weights.sum().clamp(min=1e-9)))
    if options.ranking and values.dim() == 1:
        terms.append(options.ranking * ranking_loss(values, batch))
    return torch.stack(terms).sum()


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


def as_wholes(store: FeatureStore, *, layout: bool) -> FeatureStore:
    """The same programs, each read as one part. `layout`: whether the first LAYOUT features say where tokens stand.

    How lines look stays what it is in the parts.
    """
    features = store.features
    if layout:
        on_line = store.token_line != OFF_LINE
        program = store.token_program[on_line]
        number = store.token_line[on_line] - store.line_bounds[program]
        placed = features[:, :LAYOUT].copy()
        columns = place_columns(number, np.diff(store.line_bounds)[program])
        placed[np.ix_(on_line, PLACE_COLUMNS)] = np.stack(columns, axis=1)
        features = np.concatenate([placed, features[:, LAYOUT:]], axis=1)
    return replace(
        store,
        features=features,
        token_part=store.token_program,
        line_part=store.line_program,
        part_program=np.arange(len(store.program_edited)),
    )


OnEpoch = Callable[[float], None]


@dataclass(frozen=True)
class Recipe:
    """The choices behind a probe that do not depend on the place of its model or its data.

    `injected`: programs with a bug made by machine to learn from as well. `per_group`: passing and as many failing
    programs of one problem, at most.
    """

    layers: tuple[int, ...]
    statistics: bool
    injected: int
    per_group: int
    options: FitOptions

    def to_json(self) -> dict[str, Any]:
        """As a manifest keeps it; options that no command sets are left out."""
        own = {name: getattr(self, name) for name in ("statistics", "injected", "per_group")}
        return {"layers": list(self.layers), **own, **{name: getattr(self.options, name) for name in _RECORDED}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Recipe:
        """The reverse of to_json. KeyError, TypeError or ValueError for anything else."""
        given = {"ranking": 0.0, **value}  # a recipe that does not name it is older than it
        options = FitOptions(**{name: given[name] for name in _RECORDED})
        if options.architecture not in ARCHITECTURES or not 0.0 <= options.averaging < 1.0:
            raise ValueError(f"{options.architecture!r} averaged by {options.averaging}")
        if not 0.0 <= options.ranking < math.inf:
            raise ValueError(f"ranking {options.ranking!r}")
        numbers = [options.hidden, options.members, options.seed, value["injected"], value["per_group"]]
        if not all(type(number) is int and number >= 0 for number in [*numbers, *value["layers"]]):
            raise ValueError("a number is not whole")
        return cls(tuple(value["layers"]), bool(value["statistics"]), value["injected"], value["per_group"], options)


_RECORDED = ("architecture", "hidden", "rate", "averaging", "ranking", "members", "seed")


@dataclass(frozen=True)
class HeadFit:
    """A fitted head and how it came about: the validation loss after each epoch, the best of which was kept."""

    head: SpanHead
    validation_losses: tuple[float, ...]


@dataclass(frozen=True)
class Fit:
    """A fitted probe; of an ensemble the members' validation losses follow one another."""

    head: FittedHead
    validation_losses: tuple[float, ...]


def fit_probe(
    data: WeightedPrograms,
    validation: NDArray[np.bool_],
    options: FitOptions,
    columns: NDArray[np.int64] | None = None,
    on_epoch: OnEpoch = lambda _: None,
) -> Fit:
    """Fit the probe of the options, an ensemble if they ask for more than one member; see fit_head."""
    if options.members == 1:
        fit = fit_head(data, validation, options, columns, on_epoch=on_epoch)
        return Fit(fit.head, fit.validation_losses)
    if options.architecture == "max_pool":
        raise BadInput("an ensemble averages hazards, and a max_pool probe has none", "use another --architecture")
    members = [replace(options, seed=options.seed + number, members=1) for number in range(options.members)]
    fits = [fit_head(data, validation, member, columns, on_epoch=on_epoch) for member in members]
    losses = [loss for fit in fits for loss in fit.validation_losses]
    return Fit(HazardEnsemble([fit.head for fit in fits if isinstance(fit.head, HazardHead)]), tuple(losses))


def fit_head(
    data: WeightedPrograms,
    validation: NDArray[np.bool_],
    options: FitOptions,
    columns: NDArray[np.int64] | None = None,
    make: Callable[[int], SpanHead] | None = None,
    on_epoch: OnEpoch = lambda _: None,
) -> HeadFit:
    """Fit a head on the programs outside `validation` bool[programs], stopping early on those inside.

    A program is drawn as often as it weighs; its tokens and lines count as its emphasis says. `columns` picks features
    (all by default). Each of the token, line and program terms counts the same (arXiv 2512.24560) and is a mean over
    programs of the mean over their spans. `make` gives the head for that many features, by default that of the options'
    architecture. `on_epoch` is told the validation loss of each epoch.
    """
    torch.manual_seed(options.seed)
    usable = (data.weights > 0) & data.store.has_tokens
    training = np.flatnonzero(~validation & usable)
    held_out = np.flatnonzero(validation & usable)
    if not len(training) or not len(held_out):
        raise BadInput(
            "too few labelled problems to fit a probe", "give programs of at least 20 problems, some failing"
        )
    width = data.store.features.shape[1] if columns is None else len(columns)
    head = new_head(options.architecture, width, options.hidden) if make is None else make(width)
    features = data.store.select(training[:: max(1, len(training) // 2000)], columns).features.astype(np.float32)
    head.encoder.mean.copy_(torch.from_numpy(features.mean(axis=0)))
    head.encoder.scale.copy_(torch.from_numpy(features.std(axis=0).clip(1e-3)))
    average = get_ema_multi_avg_fn(options.averaging)  # type: ignore[no-untyped-call]
    averages = AveragedModel(head, multi_avg_fn=average)
    averaged = cast(SpanHead, averages.module)
    optimizer = torch.optim.AdamW(head.parameters(), lr=options.rate, weight_decay=options.weight_decay)
    chooser = np.random.default_rng(options.seed)
    best, best_loss, losses = copy.deepcopy(head.state_dict()), math.inf, []
    for _ in range(options.epochs):
        head.train()
        for batch in _batches(_draw_programs(data.weights, training, chooser), options.batch_programs):
            optimizer.zero_grad()
            loss = _loss(head, data, batch, options, columns)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            averages.update_parameters(head)
        losses.append(_validation_loss(averaged, data, held_out, options, columns))
        on_epoch(losses[-1])
        if losses[-1] < best_loss:
            best, best_loss = copy.deepcopy(averaged.state_dict()), losses[-1]
        elif len(losses) - 1 - int(np.argmin(losses)) >= options.patience:
            break
    head.load_state_dict(best)
    head.eval()
    return HeadFit(head, tuple(losses))


@torch.inference_mode()
def _validation_loss(
    head: SpanHead,
    data: WeightedPrograms,
    programs: NDArray[np.int64],
    options: FitOptions,
    columns: NDArray[np.int64] | None,
) -> float:
    """The mean loss over programs drawn by weight, always the same ones."""
    head.eval()
    drawn = _draw_programs(data.weights, programs, np.random.default_rng(0))
    return float(np.mean([float(_loss(head, data, batch, options, columns)) for batch in _batches(drawn, 64)]))


def _loss(
    head: SpanHead,
    data: WeightedPrograms,
    programs: NDArray[np.int64],
    options: FitOptions,
    columns: NDArray[np.int64] | None,
) -> torch.Tensor:
    batch = data.store.select(programs, columns)
    return batch_loss(head, torch.from_numpy(batch.features), batch, data.emphasis[programs], options)


def _draw_programs(weights: Floats, programs: NDArray[np.int64], chooser: np.random.Generator) -> NDArray[np.int64]:
    """As many programs as there are, drawn by weight."""
    return chooser.choice(programs, size=len(programs), p=weights[programs] / weights[programs].sum())


def _batches(programs: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for first in range(0, len(programs), size):
        yield programs[first : first + size]
