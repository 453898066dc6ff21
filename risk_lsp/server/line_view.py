"""What is shown of one snapshot, line by line: decided once, for diagnostics, heat map and hover alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from risk_lsp.risk.views import line_risks, riskiest_lines
from risk_lsp.server.analysis import Analysis
from risk_lsp.server.calibrated_range import reason_outside
from risk_lsp.server.ignores import Ignored
from risk_lsp.settings import Settings

_NEVER_WARM = 0.01  # a line below this has no place in a heat map, whatever the threshold


@dataclass(frozen=True)
class LineView:
    """One entry per line: `probabilities` float64, NaN for a blank or ignored line; `steps` 0 (not shown) to 4.

    `shown` are the lines worth a diagnostic, in the order of the text; `outside` is why the numbers may not hold.
    """

    analysis: Analysis
    probabilities: NDArray[np.float64]
    shown: tuple[int, ...]
    steps: tuple[int, ...]
    ignored: Mapping[int, Ignored]
    outside: str | None


def line_view(analysis: Analysis, settings: Settings, ignored: Mapping[int, Ignored], paused: bool) -> LineView:
    """What to show of an analysis with these settings; in a pause nothing."""
    probabilities = line_risks(analysis.risks, analysis.document)
    probabilities[[line for line in ignored if line < len(probabilities)]] = np.nan
    lines = [] if paused else riskiest_lines(probabilities, settings.max_diagnostics, settings.threshold)
    steps = (0,) * len(probabilities) if paused else heat_steps(probabilities, settings.threshold)
    outside = reason_outside(analysis.document, analysis.risks)
    return LineView(analysis, probabilities, tuple(sorted(lines)), steps, ignored, outside)


def heat_steps(probabilities: NDArray[np.float64], threshold: float) -> tuple[int, ...]:
    """How strongly to show each line: 1 from half the threshold on, 2 from the threshold on, 3 and 4 in the last two of
    three equal parts between there and certainty."""
    part = (1 - threshold) / 3
    edges = np.array([threshold / 2, threshold, threshold + part, threshold + 2 * part])
    steps = np.searchsorted(edges, probabilities, side="right")
    return tuple(np.where(probabilities >= _NEVER_WARM, steps, 0).tolist())  # NaN is not warm
