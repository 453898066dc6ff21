"""Programs to learn from are read each as a whole, though long texts are read in parts later.

A probe that was fitted to wholes is better at parts than one that was fitted to parts: docs/probe-attempts.md.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from risk_lsp.probe.layout import LAYOUT, OFF_LINE, PLACE_COLUMNS, place_columns
from risk_lsp.training.feature_store import FeatureStore


def as_wholes(store: FeatureStore, *, layout: bool) -> FeatureStore:
    """The same programs, one part each. `layout`: whether the first LAYOUT features are where tokens stand."""
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
