"""Programs to learn from are read in parts, as every text is, and once more each as a whole.

What a probe learns from whole programs makes it better in parts, too (docs/probe-attempts.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from risk_lsp.probe.layout import OFF_LINE
from risk_lsp.training.as_wholes import as_wholes
from risk_lsp.training.feature_store import FeatureStore, WeightedPrograms


def read_twice(data: WeightedPrograms, *, layout: bool) -> WeightedPrograms:
    """The programs as they are, then all of them as one part each; both have half of what the program weighs.

    `layout`: whether the first LAYOUT features are where tokens stand.
    """
    return WeightedPrograms(
        _one_after_the_other(data.store, as_wholes(data.store, layout=layout)),
        np.concatenate([data.weights, data.weights]) / 2,
        np.concatenate([data.span_weights, data.span_weights]) / 2,
    )


def _one_after_the_other(first: FeatureStore, second: FeatureStore) -> FeatureStore:
    def both(name: str, shift: int = 0) -> NDArray[np.generic]:
        return np.concatenate([getattr(first, name), getattr(second, name) + shift if shift else getattr(second, name)])

    programs, lines, parts = len(first.program_edited), len(first.line_edited), len(first.part_program)
    token_line = np.where(second.token_line == OFF_LINE, OFF_LINE, second.token_line + lines)
    shifts = {
        "token_program": programs,
        "line_program": programs,
        "part_program": programs,
        "token_part": parts,
        "line_part": parts,
    }
    joined = {name: both(name, shifts.get(name, 0)) for name in FeatureStore.__dataclass_fields__}
    return FeatureStore(**joined | {"token_line": np.concatenate([first.token_line, token_line])})
