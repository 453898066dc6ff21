"""Scored spans of one level: what figures are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from risk_lsp.evaluation.records import FloatArray, IntArray
from risk_lsp.evaluation.spans import Level, SpanTable, shared_weights


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
    """Of each program: its problem, whether it failed, its weight as a whole and that of its spans together."""

    groups: NDArray[np.str_]
    failing: NDArray[np.bool_]
    weights: FloatArray
    span_weights: FloatArray


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
