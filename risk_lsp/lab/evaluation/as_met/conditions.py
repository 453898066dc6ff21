"""Programs as people meet them: with what was asked, without it, in a module, or of a source that no probe has seen.

What a bundle is worth on them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.as_met.columns import LENGTH, Column, Passage, by_length, line_table, passage_of
from risk_lsp.lab.evaluation.cross_validation import FEWEST_EDITED, Fold, HeldOutScores, fit_folds, judge_folds
from risk_lsp.lab.evaluation.figures import (
    PROBE,
    TRIVIAL,
    LevelRecords,
    LevelStatistics,
    level_records,
    level_statistics,
    mean_figures,
    program_facts,
    statistics_by_level,
)
from risk_lsp.lab.evaluation.study import FoldStore, read_study
from risk_lsp.lab.patches.labels import with_intent
from risk_lsp.lab.span_tables import Level, SpanTable
from risk_lsp.lab.task_pool import TaskPool
from risk_lsp.lab.training.fit_probe import Recipe
from risk_lsp.lab.training.labelled_programs import LabelledProgram, ProbeData
from risk_lsp.risk.engine import Engine
from risk_lsp.text.document import LineIndex, Span
from risk_lsp.text.structure import code_line_spans

SHORTEST, LONGEST = 200, 1_000  # lines of a module
LONGEST_FUNCTION = 60  # lines, of those that a program is put among
_BETWEEN = "\n\n"


def bare(program: LabelledProgram) -> LabelledProgram:
    """The program without the docstrings, comments and blank lines that stand before what a model wrote."""
    given = program.text[: program.scored.start]
    lines = LineIndex(given)
    kept = "".join(
        given[lines.start(line) : lines.end(line)]
        for line in (lines.line_of(span.start) for span in code_line_spans(given, "python"))
    )
    return _move_program(program, kept + program.text[program.scored.start :], len(kept) - len(given))


def with_question(program: LabelledProgram) -> LabelledProgram | None:
    """The program with what was asked as its module docstring; None where that is unknown.

    Where no record says what was asked, docstrings and comments before what a model wrote do.
    """
    without = bare(program)
    if not program.asked.strip():
        return program if len(without.text) < len(program.text) else None
    text, shift = with_intent(without.text, program.asked)
    return _move_program(without, text, shift)


def in_module(
    program: LabelledProgram, functions: Sequence[str], chooser: random.Random
) -> tuple[LabelledProgram, Span]:
    """The program among functions, in a module of 200 to 1,000 lines, and where it stands there.

    How long the module is, which functions it holds, and where among them the program stands, is drawn. `functions`
    have at most LONGEST_FUNCTION lines each.
    """
    wanted = chooser.randint(SHORTEST, LONGEST - 3 * LONGEST_FUNCTION)
    room = wanted - program.text.count("\n")
    parts: list[str] = []
    while len(parts) < 2 or sum(part.count("\n") for part in parts) + len(_BETWEEN) * len(parts) < room:
        parts.append(chooser.choice(functions).strip("\n") + "\n")
    place = chooser.randint(1, len(parts) - 1)
    before = _BETWEEN.join(parts[:place]) + _BETWEEN
    own = program.text if program.text.endswith("\n") else program.text + "\n"
    text = before + own + _BETWEEN + _BETWEEN.join(parts[place:])
    return _move_program(program, text, len(before)), Span(len(before), len(before) + len(program.text))


def _move_program(program: LabelledProgram, text: str, shift: int) -> LabelledProgram:
    """The program with another text, in which what a model wrote stands that much further on."""
    edited = None if program.edited is None else tuple(_shift_span(span, shift) for span in program.edited)
    return replace(program, text=text, scored=_shift_span(program.scored, shift), edited=edited)


def _shift_span(span: Span, shift: int) -> Span:
    return Span(span.start + shift, span.end + shift)


LABELLED, ASKED, BARE, ALONE, IN_MODULE = "as labelled", "asked", "bare", "alone", "in a module"
_LEVELS: tuple[Level, ...] = ("line", "program")
# By level and statistic, as `figures.level_statistics` names them: what it is called in a table of several levels.
_MEASURES = {
    ("line", "auc"): "line_auc",
    ("line", "within_auc"): "within_auc",
    ("line", "hits_at_3"): "hits_at_3",
    ("line", "bss_raw"): "line_bss_raw",
    ("line", "bss_platt"): "line_bss_platt",
    ("line", "ece_raw"): "line_ece_raw",
    ("line", "bss_at_rate"): "line_bss_at_rate",
    ("line", "ece_at_rate"): "line_ece_at_rate",
    ("program", "auc"): "program_auc",
    ("program", "bss_platt"): "program_bss_platt",
    ("program", "ece_raw"): "program_ece_raw",
}


@dataclass(frozen=True)
class ShownPrograms:
    """Programs in one condition, with their weights, and the place of each in its text."""

    data: ProbeData
    places: tuple[Span, ...]

    @classmethod
    def of(
        cls, data: ProbeData, programs: Sequence[LabelledProgram], places: Sequence[Span] | None = None
    ) -> ShownPrograms:
        """`programs` are those of `data`, in its order, as they look in the condition; each stands alone by default."""
        alone = tuple(Span(0, len(program.text)) for program in programs)
        return cls(replace(data, programs=list(programs)), alone if places is None else tuple(places))


def measures_of(levels: Mapping[str, Mapping[str, Mapping[str, Any]]], technique: str) -> dict[str, Any]:
    """The figures of one technique that tables over several levels show: {measure: [estimate, low, high]}.

    `levels` is by level, technique and statistic. Scores that are no probabilities have no figure that depends on their
    level.
    """
    return {
        measure: levels[level][technique][statistic]
        for (level, statistic), measure in _MEASURES.items()
        if level in levels and statistic in levels[level].get(technique, {})
        if not (technique == LENGTH and statistic.endswith(("raw", "at_rate")))
    }


def some_problems(data: ProbeData, most: int) -> ProbeData:
    """The programs of some problems, at most `most` programs, chosen by a hash of the problems' names."""
    left = most
    wanted: set[str] = set()
    by_group: dict[str, int] = {}
    for program in data.programs:
        by_group[program.group] = by_group.get(program.group, 0) + 1
    for group in sorted(by_group, key=lambda group: sha256(group.encode()).digest()):
        if by_group[group] <= left:
            wanted.add(group)
            left -= by_group[group]
    return data.where(lambda program: program.group in wanted)


def with_and_without_statement(data: ProbeData) -> dict[str, ShownPrograms]:
    """Programs of which it is known what was asked, under three conditions: as labelled, with it, and without it."""
    known = data.where(lambda program: with_question(program) is not None)
    shown = [with_question(program) or program for program in known.programs]
    return {
        LABELLED: ShownPrograms.of(known, known.programs),
        ASKED: ShownPrograms.of(known, shown),
        BARE: ShownPrograms.of(known, [bare(program) for program in known.programs]),
    }


def alone_and_in_modules(data: ProbeData, functions: Sequence[str], seed: int) -> dict[str, ShownPrograms]:
    """The programs alone, and each of them inside a module among functions of others."""
    chooser = random.Random(seed)
    moved = [in_module(program, functions, chooser) for program in data.programs]
    return {
        ALONE: ShownPrograms.of(data, data.programs),
        IN_MODULE: ShownPrograms.of(data, [program for program, _ in moved], [place for _, place in moved]),
    }


def measure_conditions(
    conditions: Mapping[str, ShownPrograms], calibration: ProbeData, columns: Sequence[Column], resamples: int
) -> dict[str, dict[str, Any]]:
    """The figures that `measures_of` names by column and condition, with intervals over problems.

    Platt's maps are fitted to `calibration`, programs of other problems as they are labelled.
    """
    known = _records(ShownPrograms.of(calibration, calibration.programs), columns)
    found: dict[str, dict[str, Any]] = {column.name: {} for column in columns}
    for name, shown in conditions.items():
        statistics = statistics_by_level(known, _records(shown, columns), resamples=resamples)
        levels = {str(level): measured.figures()["techniques"] for level, measured in statistics.items()}
        for column in columns:
            found[column.name][name] = measures_of(levels, column.name)
    return found


def _records(shown: ShownPrograms, columns: Sequence[Column]) -> dict[Level, LevelRecords]:
    """Every line that a model wrote, and every program, with the scores of all columns."""
    programs = shown.data.programs
    passages = [
        Passage(program.text, passage_of(program.text, program.scored).lines, place)
        for program, place in zip(programs, shown.places, strict=True)
    ]
    lines = line_table(passages, [program.edited or () for program in programs])
    starts, ends = np.array(shown.places, dtype=np.int64).reshape(-1, 2).T
    failing = np.array([not program.passed for program in programs], dtype=np.bool_)
    wholes = SpanTable(starts, ends, np.arange(len(starts)), failing)
    tables: dict[Level, SpanTable] = {"line": lines, "program": wholes}
    scores: dict[Level, dict[str, NDArray[np.float64]]] = {level: {} for level in _LEVELS}
    for column in columns:
        answers = column.answers(passages)
        scores["line"][column.name] = np.concatenate([answer.lines for answer in answers])
        scores["program"][column.name] = np.array([answer.whole for answer in answers])
    facts = program_facts(shown.data)
    return {level: level_records(level, tables[level], facts, scores[level]) for level in _LEVELS}


FEWEST_PROBLEMS = 20  # of a source that is left out
Mask = NDArray[np.bool_]


def source_of(program: LabelledProgram) -> str:
    """The kind of source that a program's problem is from."""
    return program.source or program.benchmark


def measure_sources(
    engine: Engine,
    data: ProbeData,
    recipe: Recipe,
    *,
    copies: int,
    cache: Path | None,
    resamples: int,
    pool: TaskPool,
) -> dict[str, dict[str, Any]]:
    """The figures that `measures_of` names, by column, and there for each source and for the mean over sources.

    A probe is neither fitted to nor calibrated on programs of the source that it is judged on, nor on others of the
    same problems. The means are also given over copies that show what was asked and over copies that do not, `copies`
    programs of a source at most. A source of less than FEWEST_PROBLEMS problems, or of less than FEWEST_EDITED programs
    with a known fix, is learnt from and not judged. The fits run in `pool`.
    BadInput for fewer than two sources that are large enough.
    """
    sources = np.array([source_of(program) for program in data.programs], dtype=np.str_)
    large = [
        str(name) for name in np.unique(sources) if len(np.unique(data.groups[sources == name])) >= FEWEST_PROBLEMS
    ]
    edited = np.array([bool(program.edited) for program in data.programs])
    judged_sources = [name for name in large if edited[sources == name].sum() >= FEWEST_EDITED]
    if len(judged_sources) < 2:
        raise BadInput(
            f"leaving a source out needs two sources of {FEWEST_PROBLEMS} problems or more, {FEWEST_EDITED} programs of"
            f" which have a known fix; found {judged_sources}",
            "give labelled programs of more sources, or leave `sources` out of --parts",
        )
    whole, conditions = _with_copies(data, large, copies)
    study = read_study(engine, whole, recipe, cache, learnt=data.programs)
    store = FoldStore(cache and cache / "folds", study, engine.model.weights_hash, recipe)
    lengths: Mapping[Level, Any] = {level: by_length(table.end - table.start) for level, table in study.tables.items()}
    parts: dict[str, list[dict[Level, LevelStatistics]]] = {name: [] for name in (LABELLED, ASKED, BARE)}
    rows: dict[str, dict[str, Any]] = {}
    folds = [source_fold(whole, conditions, source) for source in judged_sources]
    fits = fit_folds(study, folds, recipe, store, pool)
    for seed, (source, fold) in enumerate(zip(judged_sources, folds, strict=True)):
        judged = judge_folds(study, [fold], fits, {LENGTH: lengths})
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


def _statistics(judged: HeldOutScores, wanted: Mask, resamples: int, seed: int) -> dict[Level, LevelStatistics]:
    """The statistics of the wanted programs by level; a level has none if none of its spans weighs anything."""
    found: dict[Level, LevelStatistics] = {}
    for level in _LEVELS:
        records: LevelRecords = judged.records[level]
        kept = replace(records, weights=records.weights * wanted[records.program])
        if kept.weights.any():
            found[level] = level_statistics(level, kept, judged.rescaled[level], resamples=resamples, seed=seed)
    return found
