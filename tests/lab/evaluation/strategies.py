"""Scored records for property tests."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from risk_lsp.lab.evaluation.metrics import FloatArray, ProgramValues


class Scored(NamedTuple):
    p: FloatArray
    y: FloatArray
    weights: FloatArray


# A coarse grid of scores makes ties frequent.
_SCORES = st.one_of(st.floats(0.0, 1.0), st.integers(0, 10).map(lambda tenth: tenth / 10))
_RECORD = st.tuples(_SCORES, st.sampled_from([0.0, 1.0]), st.integers(1, 64).map(lambda eighth: eighth / 8))


@st.composite
def scored_records(draw: st.DrawFn, both_classes: bool = False) -> Scored:
    records = draw(st.lists(_RECORD, min_size=1, max_size=40))
    if both_classes:
        records += [(draw(_SCORES), 0.0, 1.0), (draw(_SCORES), 1.0, 1.0)]
    columns = np.array(records, dtype=np.float64).T
    return Scored(columns[0], columns[1], columns[2])


def mean(measured: ProgramValues) -> float:
    """The weighted mean over the programs that have a value."""
    usable = ~np.isnan(measured.values)
    return float(np.average(measured.values[usable], weights=measured.weights[usable])) if usable.any() else math.nan
