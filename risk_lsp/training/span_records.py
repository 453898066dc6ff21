"""Scored spans of labelled programs, level by level: what the metrics take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from risk_lsp.model.activations import Activations
from risk_lsp.risk.engine import Engine
from risk_lsp.text.code_lines import code_line_spans
from risk_lsp.training.labelled import LabelledProgram

LEVELS = ("token", "line", "program")
_PROGRAMS_AT_ONCE = 128
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LevelRecords:
    """Records of one level: scores by technique, float64[n]; labels; weights; the program and problem of each."""

    scores: dict[str, Floats]
    edited: NDArray[np.bool_]
    weights: Floats
    program: NDArray[np.int64]
    group: NDArray[np.str_]
    failing: NDArray[np.bool_]


def score_programs(
    engine: Engine, programs: Sequence[LabelledProgram], weights: Sequence[float]
) -> dict[str, LevelRecords]:
    """Score every labelled program once, by the probe and by the model's own token probability.

    The engine has to be loaded with its whole model.

    Only code lines that a model wrote are records, and the tokens on them; a program is its whole text. The
    baseline's score is 1 minus the geometric mean of the token probabilities of the span (arXiv 2512.24560).
    """
    parts: dict[str, list[_Rows]] = {level: [] for level in LEVELS}
    for first in range(0, len(programs), _PROGRAMS_AT_ONCE):
        batch = programs[first : first + _PROGRAMS_AT_ONCE]
        encodings = [engine.model.encode(program.text) for program in batch]
        read = engine.read([program.text for program in batch], encodings, statistics=True)
        for program, activations in zip(batch, read, strict=True):
            rows = _rows(engine, program, activations)
            for level in LEVELS:
                parts[level].append(rows[level])
    return {level: _joined(parts[level], programs, np.asarray(weights)) for level in LEVELS}


@dataclass(frozen=True)
class _Rows:
    probe: Floats
    baseline: Floats
    edited: NDArray[np.bool_]


def _rows(engine: Engine, program: LabelledProgram, activations: Activations) -> dict[str, _Rows]:
    risk = engine.risk(len(program.text), activations)
    lines = np.array(code_line_spans(program.text, "python", program.scored), dtype=np.int64).reshape(-1, 2)
    tokens = np.stack([risk.starts, risk.ends], axis=1).astype(np.int64)
    on_line = (tokens[:, None, 0] < lines[None, :, 1]) & (tokens[:, None, 1] > lines[None, :, 0])
    tokens = tokens[on_line.any(axis=1)]
    whole = np.array([(0, len(program.text))], dtype=np.int64)
    log_probabilities = activations.log_probabilities
    assert log_probabilities is not None  # asked for above
    sums = np.concatenate(([0.0], np.cumsum(log_probabilities, dtype=np.float64)))
    return {
        level: _Rows(
            risk.probabilities(*spans.T), _surprise(spans, risk.starts, risk.ends, sums), _edited(spans, program)
        )
        for level, spans in (("token", tokens), ("line", lines), ("program", whole))
    }


def _surprise(spans: NDArray[np.int64], starts: NDArray[np.int32], ends: NDArray[np.int32], sums: Floats) -> Floats:
    """1 minus the geometric mean of the probabilities of the tokens that overlap each span."""
    first = np.searchsorted(ends, spans[:, 0], side="right")
    last = np.searchsorted(starts, spans[:, 1], side="left")
    geometric_mean: Floats = np.exp((sums[last] - sums[first]) / np.maximum(last - first, 1))
    return 1.0 - geometric_mean


def _edited(spans: NDArray[np.int64], program: LabelledProgram) -> NDArray[np.bool_]:
    edited = np.zeros(len(spans), dtype=np.bool_)
    for start, end in program.edited or ():
        edited |= (spans[:, 0] < end) & (spans[:, 1] > start)
    return edited


def _joined(rows: Sequence[_Rows], programs: Sequence[LabelledProgram], weights: Floats) -> LevelRecords:
    program = np.repeat(np.arange(len(rows)), [len(row.edited) for row in rows])
    return LevelRecords(
        scores={
            "probe": np.concatenate([row.probe for row in rows]),
            "token probability": np.concatenate([row.baseline for row in rows]),
        },
        edited=np.concatenate([row.edited for row in rows]),
        weights=weights[program],
        program=program,
        group=np.array([each.group for each in programs])[program],
        failing=np.array([not each.passed for each in programs])[program],
    )
