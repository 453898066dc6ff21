"""Each kind of source left out in turn: a probe of the bundle's recipe is fitted without it and judged on it alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.as_met.columns import LENGTH, by_length
from risk_lsp.lab.evaluation.as_met.conditions import (
    ASKED,
    BARE,
    LABELLED,
    measures_of,
    some_problems,
    with_and_without_statement,
)
from risk_lsp.lab.evaluation.cross_validation import Fold, Judged, judge_folds
from risk_lsp.lab.evaluation.figures import (
    PROBE,
    TRIVIAL,
    LevelRecords,
    LevelStatistics,
    level_statistics,
    mean_figures,
)
from risk_lsp.lab.evaluation.study import FoldStore, read_study
from risk_lsp.lab.span_tables import Level
from risk_lsp.lab.training.fit_probe import Recipe
from risk_lsp.lab.training.labelled import LabelledProgram, ProbeData
from risk_lsp.risk.engine import Engine

FEWEST_PROBLEMS = 20  # of a source that is left out
_LEVELS: tuple[Level, ...] = ("line", "program")
Mask = NDArray[np.bool_]


def source_of(program: LabelledProgram) -> str:
    """The kind of source that a program's problem is from."""
    return program.source or program.benchmark


def measure_sources(
    engine: Engine, data: ProbeData, recipe: Recipe, *, copies: int, cache: Path | None, resamples: int
) -> dict[str, dict[str, Any]]:
    """The figures that `measures_of` names, by column, and there for each source and for the mean over sources.

    A probe is neither fitted to nor calibrated on programs of the source that it is judged on, nor on others of the
    same problems. The means are also given over copies that show what was asked and over copies that do not, `copies`
    programs of a source at most. A source of less than FEWEST_PROBLEMS problems is learnt from and not judged. BadInput
    for fewer than two sources that are large enough.
    """
    sources = np.array([source_of(program) for program in data.programs], dtype=np.str_)
    judged_sources = [
        str(name) for name in np.unique(sources) if len(np.unique(data.groups[sources == name])) >= FEWEST_PROBLEMS
    ]
    if len(judged_sources) < 2:
        raise BadInput(
            f"leaving a source out needs two sources of {FEWEST_PROBLEMS} problems or more, found {judged_sources}",
            "give labelled programs of more sources, or leave `sources` out of --parts",
        )
    whole, conditions = _with_copies(data, judged_sources, copies)
    study = read_study(engine, whole, recipe, cache, learnt=data.programs)
    store = FoldStore(cache and cache / "folds", study, engine.model.weights_hash, recipe)
    lengths: Mapping[Level, Any] = {level: by_length(table.end - table.start) for level, table in study.tables.items()}
    parts: dict[str, list[dict[Level, LevelStatistics]]] = {name: [] for name in (LABELLED, ASKED, BARE)}
    rows: dict[str, dict[str, Any]] = {}
    for seed, source in enumerate(judged_sources):
        judged = judge_folds(study, [source_fold(whole, conditions, source)], recipe, {LENGTH: lengths}, store)
        for condition, found in parts.items():
            figures = _statistics(judged, conditions == condition, resamples, seed)
            if len(figures) == len(_LEVELS):
                found.append(figures)
            if condition == LABELLED:
                rows[source] = {level: statistics.figures()["techniques"] for level, statistics in figures.items()}
    means: dict[str, dict[str, Any]] = {
        "mean" if name == LABELLED else f"mean, {name}": {
            level: mean_figures([figures[level] for figures in found]) for level in _LEVELS
        }
        for name, found in parts.items()
        if found
    }
    return {
        column: {row: measures_of(figures, technique) for row, figures in {**means, **rows}.items()}
        for column, technique in ((engine.manifest.name, PROBE), (TRIVIAL, TRIVIAL), (LENGTH, LENGTH))
    }


def source_fold(data: ProbeData, conditions: NDArray[np.str_], source: str) -> Fold:
    """The fold that judges a source's programs in all conditions; neither copies nor its problems are learnt from."""
    held_out = np.array([source_of(program) == source for program in data.programs], dtype=np.bool_)
    known = np.isin(data.groups, np.unique(data.groups[held_out]))
    return Fold(f"without {source}", held_out, known | (conditions != LABELLED))


def _with_copies(data: ProbeData, sources: list[str], most: int) -> tuple[ProbeData, NDArray[np.str_]]:
    """The programs, copies of some of each source with and without what was asked, and the condition of each."""
    programs, weights, span_weights = list(data.programs), list(data.weights), list(data.span_weights)
    conditions = [LABELLED] * len(programs)
    for source in sources:
        some = some_problems(data.where(lambda program, source=source: source_of(program) == source), most)  # type: ignore[misc]
        shown = with_and_without_statement(some)
        for name in (ASKED, BARE):
            copies = shown[name].data
            programs += copies.programs
            weights += copies.weights
            span_weights += copies.span_weights
            conditions += [name] * len(copies.programs)
    return ProbeData(programs, weights, span_weights, data.labels), np.array(conditions, dtype=np.str_)


def _statistics(judged: Judged, wanted: Mask, resamples: int, seed: int) -> dict[Level, LevelStatistics]:
    """By level, of the wanted programs alone; a level of which none weighs anything has none."""
    found: dict[Level, LevelStatistics] = {}
    for level in _LEVELS:
        records: LevelRecords = judged.records[level]
        kept = replace(records, weights=records.weights * wanted[records.program])
        if kept.weights.any():
            found[level] = level_statistics(level, kept, judged.rescaled[level], resamples=resamples, seed=seed)
    return found
