"""Every technique judged on problems that it never saw: it is fitted on some problems and rescaled on others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from risk_lsp.lab.evaluation.figures import BASE_RATE, PROBE, TRIVIAL, LevelRecords, level_records
from risk_lsp.lab.evaluation.metrics import base_rate
from risk_lsp.lab.evaluation.reliability import RescaledScores, rescale
from risk_lsp.lab.evaluation.rivals import fit_logistic, trivial_feature_table
from risk_lsp.lab.evaluation.study import Floats, FoldFit, FoldStore, Study
from risk_lsp.lab.span_tables import Level, shared_weights
from risk_lsp.lab.task_pool import TaskPool
from risk_lsp.lab.training.feature_store import WeightedPrograms
from risk_lsp.lab.training.fit_calibration import (
    fit_calibration,
    fit_familiarity,
    fit_looks,
    part_belief,
    scaled_by_text,
    token_values,
)
from risk_lsp.lab.training.fit_probe import Recipe, as_wholes, fit_probe
from risk_lsp.lab.training.heads import MaxPoolHead, pooled_probabilities
from risk_lsp.lab.training.make_bundle import VALIDATION_SHARE
from risk_lsp.lab.training.training_documents import is_held_out, k_folds, leave_one_benchmark_out, split_of
from risk_lsp.probe.calibration import Calibration
from risk_lsp.probe.layout import weigh_lines
from risk_lsp.probe.token_hazards import STATISTICS, uses_layout

_INJECTED_SHARE = 0.5  # what programs with injected bugs weigh together, against real ones
_LOGISTIC_ROWS = 200_000
FEWEST_EDITED = 10  # programs of a benchmark or a source with a known fix, for it to be held out alone

Scores = dict[Level, dict[str, Floats]]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Fold:
    """Programs to judge, bool[programs]; techniques are fitted and rescaled on problems of the others.

    `apart`, bool[programs]: programs that nothing is fitted to or rescaled on in any case.
    """

    name: str
    held_out: Mask
    apart: Mask | None = None


@dataclass(frozen=True)
class HeldOutScores:
    """The records of all folds with their raw scores, by level, and the scores rescaled, by level and technique."""

    records: dict[Level, LevelRecords]
    rescaled: dict[Level, dict[str, RescaledScores]]


def problem_folds(study: Study, k: int) -> list[Fold]:
    """`k` folds by problem."""
    folds = k_folds([program.group for program in study.data.programs], k)
    return [Fold(f"fold {number + 1} of {k}", folds == number) for number in range(k)]


def benchmark_folds(study: Study) -> Iterator[Fold]:
    """Each benchmark held out in turn, but for those with too few edited programs to tell anything."""
    edited = np.array([bool(program.edited) for program in study.data.programs])
    for name, mask in leave_one_benchmark_out([program.benchmark for program in study.data.programs]):
        if edited[mask].sum() >= FEWEST_EDITED:
            yield Fold(name, mask)


def fit_folds(
    study: Study, folds: Sequence[Fold], recipe: Recipe, store: FoldStore, pool: TaskPool
) -> dict[str, FoldFit]:
    """The fit of each fold by its name. What the store holds is not fitted again; the others are kept as they come.

    In another process a fit has as many threads as torch has here.
    """
    fits = {fold.name: fit for fold in folds if (fit := store.get(fold.name)) is not None}
    missing = [(fold.name, _Roles.of(study, fold)) for fold in folds if fold.name not in fits]
    if not missing:
        return fits
    job = partial(_open_fits, study, recipe, torch.get_num_threads())
    for name, fit in pool.run(job, missing, say=partial(print, file=sys.stderr, flush=True)):
        store.keep(name, fit)
        fits[name] = fit
        losses = [round(loss, 3) for loss in fit.validation_losses]
        print(f"{name}: validation loss after each epoch {losses}", file=sys.stderr, flush=True)
    return fits


@contextmanager
def _open_fits(
    study: Study, recipe: Recipe, threads: int
) -> Iterator[Callable[[tuple[str, _Roles]], list[tuple[str, FoldFit]]]]:
    torch.set_num_threads(threads)

    def fit(task: tuple[str, _Roles]) -> list[tuple[str, FoldFit]]:
        name, roles = task
        return [(name, fitted_probe(study, roles.training, roles.calibration, recipe))]

    yield fit


def judge_folds(
    study: Study,
    folds: Sequence[Fold],
    fits: Mapping[str, FoldFit],
    unfitted: Mapping[str, Mapping[Level, Floats]],
) -> HeldOutScores:
    """Rescale and score fold by fold, with the probes of `fit_folds`. `unfitted` are the scores of techniques that
    learn nothing; NaN is none.
    """
    names = [BASE_RATE, TRIVIAL, *unfitted, PROBE]
    raw: Scores = {level: {name: np.zeros(len(table)) for name in names} for level, table in study.tables.items()}
    mapped = {
        level: {name: RescaledScores(np.zeros(len(table)), np.zeros(len(table))) for name in names}
        for level, table in study.tables.items()
    }
    judged = np.zeros(len(study.data.programs), dtype=np.bool_)
    trivial = {level: trivial_feature_table(study.texts, table) for level, table in study.tables.items()}
    for fold in folds:
        roles = _Roles.of(study, fold)
        for level, table in study.tables.items():
            found = {name: scores[level] for name, scores in unfitted.items()}
            found[TRIVIAL] = _trivial_scores(study, level, trivial[level], roles.training)
            found[PROBE] = span_probabilities(study, level, fits[fold.name])
            edited, weights = _label_spans(study, level, roles.training)
            rate = base_rate(edited, weights) if weights.any() else 0.0
            found[BASE_RATE] = np.full(len(table), rate)
            rows = roles.held_out[table.program]
            for name, scores in found.items():
                raw[level][name][rows] = np.where(np.isnan(scores), rate, scores)[rows]
                by_fold = _rescale_scores(study, level, scores, roles.calibration, rate).where(rows)
                mapped[level][name].platt[rows], mapped[level][name].isotonic[rows] = by_fold
        judged |= fold.held_out
    facts = study.facts
    kept = type(facts)(facts.groups, facts.failing, facts.weights * judged, facts.span_weights * judged)
    records = {level: level_records(level, table, kept, raw[level]) for level, table in study.tables.items()}
    return HeldOutScores(records, mapped)


def fitted_probe(study: Study, training: Mask, calibrating: Mask, recipe: Recipe) -> FoldFit:
    """A probe of the recipe, fitted to some programs and calibrated on others, and its values for all tokens."""
    data = _weigh_programs(study, training)
    data = replace(data, store=as_wholes(data.store, layout=uses_layout(recipe.options.architecture)))
    groups = np.concatenate([study.data.groups, study.injected_groups])
    validation = np.array([is_held_out(group, VALIDATION_SHARE) for group in groups], dtype=np.bool_)
    passed_over = STATISTICS if study.statistics and not recipe.statistics else 0
    columns = np.arange(data.store.features.shape[1] - passed_over)
    fit = fit_probe(data, validation, recipe.options, columns)
    values = token_values(fit.head, study.store, columns)
    if isinstance(fit.head, MaxPoolHead):
        return FoldFit(values, Calibration(), fit.validation_losses, fit.head)
    learnt, held_out = (study.store.select(np.flatnonzero(mask)) for mask in (training, calibrating))
    belief = part_belief(fit_familiarity(fit.head, learnt, held_out, columns), fit.head, study.store, columns)
    looks = study.store.line_looks @ fit_looks(_only_real(study, training))
    calibration, strength = fit_calibration(values, _only_real(study, calibrating), belief, looks)
    weighed = weigh_lines(values, study.store.token_line, study.store.line_part, strength * looks)
    return FoldFit(scaled_by_text(weighed, study.store, calibration, belief), calibration, fit.validation_losses)


def span_probabilities(study: Study, level: Level, fit: FoldFit) -> Floats:
    """What the probe says of every span of a level, float64[spans]: by sums of hazards as a RiskMap, or by maxima."""
    first, last = study.tokens[level].T
    if fit.pool is None:
        sums = np.concatenate(([0.0], np.cumsum(fit.values)))
        return fit.calibration.probability(np.maximum(sums[last] - sums[first], 0.0))
    return pooled_probabilities(fit.pool, fit.values, first, last)


@dataclass(frozen=True)
class _Roles:
    """What each program is for in one fold."""

    held_out: Mask
    calibration: Mask
    training: Mask

    @classmethod
    def of(cls, study: Study, fold: Fold) -> _Roles:
        calibrating = np.array([split_of(program.group) == "calibration" for program in study.data.programs])
        learnt = ~fold.held_out if fold.apart is None else ~(fold.held_out | fold.apart)
        return cls(fold.held_out, learnt & calibrating, learnt & ~calibrating)


def _weigh_programs(study: Study, training: Mask) -> WeightedPrograms:
    """The training programs with their weights; injected bugs of their problems, but not of validation ones, too."""
    facts = study.facts
    allowed = set(facts.groups[training])
    injected = np.array(
        [group in allowed and not is_held_out(group, VALIDATION_SHARE) for group in study.injected_groups],
        dtype=np.float64,
    )
    extra = injected * _INJECTED_SHARE * float(facts.weights[training].sum()) / max(1.0, injected.sum())
    return WeightedPrograms(
        study.store,
        np.concatenate([facts.weights * training, extra]),
        np.concatenate([facts.span_weights * training, extra]),
    )


def _only_real(study: Study, wanted: Mask) -> WeightedPrograms:
    """Some of the programs with their weights; those with injected bugs weigh nothing."""
    none = np.zeros(len(study.injected_groups))
    return WeightedPrograms(
        study.store,
        np.concatenate([study.facts.weights * wanted, none]),
        np.concatenate([study.facts.span_weights * wanted, none]),
    )


def _label_spans(study: Study, level: Level, wanted: Mask) -> tuple[NDArray[np.bool_], Floats]:
    """Labels of a level's spans, and what those of the wanted programs weigh."""
    table, facts = study.tables[level], study.facts
    weights = facts.weights if level == "program" else facts.span_weights
    edited = facts.failing[table.program] if level == "program" else table.edited
    return edited, shared_weights(weights * wanted, table)


def _trivial_scores(study: Study, level: Level, features: Floats, training: Mask) -> Floats:
    edited, weights = _label_spans(study, level, training)
    rows = np.flatnonzero(weights > 0)
    if not len(rows):
        return np.full(len(weights), np.nan)
    rows = rows[:: max(1, len(rows) // _LOGISTIC_ROWS)]
    return fit_logistic(features[rows], edited[rows], weights[rows]).probability(features)


def _rescale_scores(study: Study, level: Level, scores: Floats, calibrating: Mask, rate: float) -> RescaledScores:
    """Scores after maps that are fitted on the calibration problems of the other folds; the base rate where none is."""
    edited, weights = _label_spans(study, level, calibrating)
    usable = (weights > 0) & ~np.isnan(scores)
    if not usable.any():
        return RescaledScores(np.full(len(scores), rate), np.full(len(scores), rate))
    found = rescale(np.nan_to_num(scores), scores[usable], edited[usable], weights[usable])
    return RescaledScores(*(np.where(np.isnan(scores), rate, each) for each in found))
