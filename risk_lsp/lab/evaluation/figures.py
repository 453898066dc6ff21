"""Every statistic of every technique at one level, raw and rescaled, with intervals, from scored spans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.lab.evaluation.metrics import FloatArray, IntArray, base_rate, program_aucs, program_efforts, program_hits
from risk_lsp.lab.evaluation.problem_bootstrap import ProblemBootstrap, four_digits, interval_figures
from risk_lsp.lab.evaluation.reliability import RescaledScores, rescale, shifted_to_rate
from risk_lsp.lab.span_tables import Level, SpanTable, shared_weights
from risk_lsp.lab.training.labelled_programs import ProbeData


@dataclass(frozen=True)
class LevelRecords:
    """Records of one level: scores by technique, float64[n]; labels; weights; the program and problem of each."""

    scores: Mapping[str, FloatArray]
    edited: NDArray[np.bool_]
    weights: FloatArray
    program: IntArray
    group: NDArray[np.str_]
    failing: NDArray[np.bool_]


@dataclass(frozen=True)
class ProgramFacts:
    """The problem of each program, whether it failed, its weight as a whole and that of its spans together."""

    groups: NDArray[np.str_]
    failing: NDArray[np.bool_]
    weights: FloatArray
    span_weights: FloatArray


def program_facts(data: ProbeData) -> ProgramFacts:
    """What figures need to know of each program."""
    failing = np.array([not program.passed for program in data.programs], dtype=np.bool_)
    return ProgramFacts(data.groups, failing, np.asarray(data.weights), np.asarray(data.span_weights))


def level_records(
    level: Level, table: SpanTable, facts: ProgramFacts, scores: Mapping[str, Sequence[float] | FloatArray]
) -> LevelRecords:
    """Records of the table's spans with their scores. Spans of programs whose fix is unknown weigh nothing."""
    weights = facts.weights if level == "program" else facts.span_weights
    return LevelRecords(
        scores={technique: np.asarray(values, dtype=np.float64) for technique, values in scores.items()},
        # That a program failed is known even where its fix is not.
        edited=facts.failing[table.program] if level == "program" else table.edited,
        weights=shared_weights(weights, table),
        program=table.program,
        group=facts.groups[table.program],
        failing=facts.failing[table.program],
    )


BASE_RATE, TRIVIAL, PROBE = "base rate", "trivial features", "probe"
HITS = (1, 3, 5)
# Below these a program has more than one span to put in order.
_WITHIN: tuple[Level, ...] = ("token", "line", "statement")


@dataclass(frozen=True)
class LevelStatistics:
    """What was measured at one level, and by technique every statistic: its estimate, then that of each resample."""

    spans: int
    programs: int
    problems: int
    base_rate: float
    techniques: Mapping[str, Mapping[str, FloatArray]]

    def figures(self) -> dict[str, Any]:
        """As JSON: every statistic as [estimate, low, high] (95%, over problems)."""
        return {
            "spans": self.spans,
            "programs": self.programs,
            "problems": self.problems,
            "base_rate": four_digits(self.base_rate),
            "techniques": _with_intervals(self.techniques),
        }


def level_statistics(
    level: Level, records: LevelRecords, mapped: Mapping[str, RescaledScores], *, resamples: int, seed: int = 0
) -> LevelStatistics:
    """Every statistic of every technique. `mapped` are the scores after maps fitted elsewhere.

    Records that weigh nothing are left out.
    """
    kept = records.weights > 0
    records = _only(records, kept)
    bootstrap = ProblemBootstrap(records.group, records.weights, resamples=resamples, seed=seed)
    found = {
        technique: _technique_figures(level, technique, records, mapped[technique].where(kept), bootstrap, seed)
        for technique in records.scores
    }
    if TRIVIAL in found:
        for technique in found.keys() - {TRIVIAL, BASE_RATE}:
            found[technique]["auc_above_trivial"] = found[technique]["auc"] - found[TRIVIAL]["auc"]
    return LevelStatistics(
        spans=len(records.edited),
        programs=len(np.unique(records.program)),
        problems=len(np.unique(records.group)),
        base_rate=base_rate(records.edited, records.weights),
        techniques=found,
    )


def statistics_by_level(
    known: Mapping[Level, LevelRecords], judged: Mapping[Level, LevelRecords], *, resamples: int
) -> dict[Level, LevelStatistics]:
    """The statistics of each level of `judged` that has a span, after maps fitted to `known`.

    Scores stay as they are where `known` has nothing to fit a map to.
    """
    found = {}
    for level, records in judged.items():
        if not records.weights.any():
            continue
        fitted = known[level]
        maps = {technique: RescaledScores(scores, scores) for technique, scores in records.scores.items()}
        if fitted.weights.any():
            maps = {
                technique: rescale(records.scores[technique], scores, fitted.edited, fitted.weights)
                for technique, scores in fitted.scores.items()
            }
        found[level] = level_statistics(level, records, maps, resamples=resamples)
    return found


def mean_figures(parts: Sequence[LevelStatistics]) -> dict[str, Any]:
    """The mean of each statistic over parts that share no problem, by technique, as [estimate, low, high].

    The parts' resamples have to be drawn by different seeds, and be equally many.
    """
    first = parts[0].techniques
    return _with_intervals(
        {
            technique: {
                name: np.mean([part.techniques[technique][name] for part in parts], axis=0)
                for name in statistics
                if all(name in part.techniques[technique] for part in parts)
            }
            for technique, statistics in first.items()
        }
    )


def _with_intervals(techniques: Mapping[str, Mapping[str, FloatArray]]) -> dict[str, Any]:
    return {
        technique: {name: interval_figures(values) for name, values in statistics.items()}
        for technique, statistics in techniques.items()
    }


def _technique_figures(
    level: Level, technique: str, records: LevelRecords, scaled: RescaledScores, bootstrap: ProblemBootstrap, seed: int
) -> dict[str, FloatArray]:
    """Every statistic of one technique, with its resamples."""
    raw, edited = records.scores[technique], records.edited
    found: dict[str, FloatArray] = {}
    for name, scores in (("raw", raw), ("platt", scaled.platt), ("isotonic", scaled.isotonic)):
        found[f"bss_{name}"] = bootstrap.brier_skill_score(scores, edited)
        found[f"ece_{name}"] = bootstrap.expected_calibration_error(scores, edited)
        found[f"ece_adaptive_{name}"] = bootstrap.adaptive_calibration_error(scores, edited)
    rate = base_rate(edited, records.weights)
    if 0.0 < rate < 1.0 and raw.min() >= 0.0 and raw.max() <= 1.0:
        known = shifted_to_rate(raw, rate, records.weights)
        found["bss_at_rate"] = bootstrap.brier_skill_score(known, edited)
        found["ece_at_rate"] = bootstrap.expected_calibration_error(known, edited)
    if technique != BASE_RATE:  # it gives no order; that of its folds means nothing
        found["auc"] = bootstrap.auc(raw, edited)
    if level in _WITHIN:
        found |= _within_failing(level, _only(records, records.failing), technique, bootstrap.resamples, seed)
    return found


def _within_failing(
    level: Level, failing: LevelRecords, technique: str, resamples: int, seed: int
) -> dict[str, FloatArray]:
    """Measures of the order within failing programs; problems count by the weight of their failing programs."""
    raw = failing.scores[technique]
    if not len(raw):
        return {}
    problems = failing.group[np.unique(failing.program, return_index=True)[1]]
    bootstrap = ProblemBootstrap(failing.group, failing.weights, resamples=resamples, seed=seed)
    arguments = (raw, failing.edited, failing.program)

    found = {"within_auc": bootstrap.mean_over_programs(program_aucs(*arguments, failing.weights), problems)}
    if level == "line":
        for k in HITS:
            hits = program_hits(*arguments, k, failing.weights)
            found[f"hits_at_{k}"] = bootstrap.mean_over_programs(hits, problems)
        efforts = program_efforts(*arguments, failing.weights)
        read, from_top = (bootstrap.mean_over_programs(effort, problems) for effort in efforts)
        found |= {"lines_read": read, "lines_read_from_top": from_top, "lines_saved": 1.0 - read / from_top}
    return found


def _only(records: LevelRecords, kept: np.ndarray) -> LevelRecords:
    return LevelRecords(
        {technique: scores[kept] for technique, scores in records.scores.items()},
        records.edited[kept],
        records.weights[kept],
        records.program[kept],
        records.group[kept],
        records.failing[kept],
    )
