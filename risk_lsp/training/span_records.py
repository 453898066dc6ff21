"""Spans of labelled programs, scored by an engine: what the figures of a bundle are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from risk_lsp.evaluation.level_records import LevelRecords, ProgramFacts, level_records
from risk_lsp.evaluation.spans import LabelledText, Level, SpanTable, span_tables
from risk_lsp.evaluation.token_probability import improbability
from risk_lsp.model.activations import Activations
from risk_lsp.model.encoding import Encoding
from risk_lsp.risk.engine import Engine
from risk_lsp.training.labelled import LabelledProgram
from risk_lsp.training.probe_data import ProbeData

_PROGRAMS_AT_ONCE = 128
Floats = NDArray[np.float64]


def score_programs(engine: Engine, data: ProbeData) -> dict[Level, LevelRecords]:
    """Score every labelled program once, by the probe and by the model's own token probability.

    The engine has to be loaded with its whole model.
    """
    encodings = [engine.model.encode(program.text) for program in data.programs]
    tables = span_tables(labelled_text(*pair) for pair in zip(data.programs, encodings, strict=True))
    scores = {
        level: {name: np.zeros(len(table)) for name in ("probe", "token probability")}
        for level, table in tables.items()
    }
    for first in range(0, len(data.programs), _PROGRAMS_AT_ONCE):
        batch = slice(first, first + _PROGRAMS_AT_ONCE)
        texts = [program.text for program in data.programs[batch]]
        for place, activations in enumerate(engine.read(texts, encodings[batch], statistics=True), first):
            for level, table in tables.items():
                rows = slice(*np.searchsorted(table.program, [place, place + 1]))
                probe, rival = _scores(engine, activations, table, rows, data.programs[place].text)
                scores[level]["probe"][rows], scores[level]["token probability"][rows] = probe, rival
    facts = program_facts(data)
    return {level: level_records(level, table, facts, scores[level]) for level, table in tables.items()}


def labelled_text(program: LabelledProgram, encoding: Encoding) -> LabelledText:
    """A program and its tokens as evaluation takes them."""
    return LabelledText(program.text, program.scored, program.edited or (), encoding.starts, encoding.ends)


def program_facts(data: ProbeData) -> ProgramFacts:
    """What evaluation has to know of each program."""
    failing = np.array([not program.passed for program in data.programs], dtype=np.bool_)
    return ProgramFacts(data.groups, failing, np.asarray(data.weights), np.asarray(data.span_weights))


def _scores(
    engine: Engine, activations: Activations, table: SpanTable, rows: slice, text: str
) -> tuple[Floats, Floats]:
    risk = engine.risk(text, activations)
    start, end = table.start[rows], table.end[rows]
    return risk.probabilities(start, end), improbability(
        start, end, risk.starts, risk.ends, np.asarray(activations.log_probabilities)
    )
