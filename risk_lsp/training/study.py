"""Labelled programs with all that techniques are judged by: features, spans of every level, facts of each program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from risk_lsp.evaluation.level_records import ProgramFacts
from risk_lsp.evaluation.spans import LabelledText, Level, SpanTable, span_tables
from risk_lsp.probe.features import STATISTICS
from risk_lsp.text.spans import Span
from risk_lsp.training.feature_store import FeatureStore
from risk_lsp.training.probe_data import ProbeData
from risk_lsp.training.span_records import program_facts

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Study:
    """Programs to measure, followed in the store by ones with injected bugs, which are learnt from and never measured.

    `tokens` gives for each span of a table the store's tokens [first, last) that overlap it, int64[spans, 2].
    """

    data: ProbeData
    injected_groups: NDArray[np.str_]
    store: FeatureStore
    tables: dict[Level, SpanTable]
    tokens: dict[Level, Indices]
    facts: ProgramFacts

    @property
    def texts(self) -> list[tuple[str, Span]]:
        """The programs to measure, with the part that a model wrote."""
        return [(program.text, program.scored) for program in self.data.programs]

    @property
    def surprisal(self) -> Floats:
        """How surprised the model was by each token, in nats, float64[tokens]."""
        return np.asarray(self.store.features[:, -STATISTICS], dtype=np.float64)

    def improbability(self, level: Level) -> Floats:
        """1 minus the geometric mean of the token probabilities of each span of a level."""
        sums = np.concatenate(([0.0], np.cumsum(self.surprisal)))
        first, last = self.tokens[level].T
        # Sums of many tokens differ by rounding where nothing was surprising.
        mean = np.minimum(sums[first] - sums[last], 0.0) / np.maximum(last - first, 1)
        return np.asarray(1.0 - np.exp(mean), dtype=np.float64)


def make_study(data: ProbeData, injected_groups: NDArray[np.str_], store: FeatureStore) -> Study:
    """A study of `data`, whose features come first in the store; the store has to hold token statistics."""
    bounds = store.token_bounds
    texts = [
        LabelledText(
            program.text,
            program.scored,
            program.edited or (),
            store.token_start[bounds[index] : bounds[index + 1]],
            store.token_end[bounds[index] : bounds[index + 1]],
        )
        for index, program in enumerate(data.programs)
    ]
    tables = span_tables(texts)
    tokens = {level: _tokens_of(table, store) for level, table in tables.items()}
    return Study(data, injected_groups, store, tables, tokens, program_facts(data))


def _tokens_of(table: SpanTable, store: FeatureStore) -> Indices:
    found = np.zeros((len(table), 2), dtype=np.int64)
    rows = np.searchsorted(table.program, np.arange(len(store.program_edited) + 1))
    for program in range(len(rows) - 1):
        low, high = rows[program], rows[program + 1]
        begin, end = store.token_bounds[program], store.token_bounds[program + 1]
        first = np.searchsorted(store.token_end[begin:end], table.start[low:high], side="right")
        last = np.searchsorted(store.token_start[begin:end], table.end[low:high], side="left")
        found[low:high, 0], found[low:high, 1] = begin + first, begin + np.maximum(first, last)
    return found
