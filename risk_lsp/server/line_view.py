"""What is shown of one snapshot, line by line: decided once, for diagnostics, heat map and hover alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from risk_lsp.risk.views import line_risks, riskiest_lines
from risk_lsp.server.analysis import Analysis
from risk_lsp.server.calibrated_range import reason_outside
from risk_lsp.server.ignores import Ignored
from risk_lsp.server.steadiness import steady_lines, steady_numbers
from risk_lsp.settings import Settings
from risk_lsp.text.line_matching import match_lines

_NEVER_WARM = 0.01  # a line below this has no place in a heat map, whatever the threshold


@dataclass(frozen=True)
class Circumstances:
    """What decides, apart from the risks, what is shown of a document."""

    settings: Settings
    ignored: Mapping[int, Ignored] = field(default_factory=dict)
    paused: bool = False


@dataclass(frozen=True)
class LineView:
    """`numbers`, float64[lines]: what is shown for each line, NaN for a blank one; `chosen`: the lines most worth
    reading, in the order of the text."""

    analysis: Analysis
    circumstances: Circumstances
    numbers: NDArray[np.float64]
    chosen: tuple[int, ...]

    @property
    def ignored(self) -> Mapping[int, Ignored]:
        """The ignored lines, and why they are."""
        return self.circumstances.ignored

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """The numbers, and NaN also for ignored lines."""
        return _without(self.numbers, self.circumstances)

    @property
    def shown(self) -> tuple[int, ...]:
        """The lines that get a diagnostic."""
        return () if self.circumstances.paused else self.chosen

    @property
    def steps(self) -> tuple[int, ...]:
        """How strongly a heat map shows each line, from 0 (not at all) to 4."""
        if self.circumstances.paused:
            return (0,) * len(self.numbers)
        return heat_steps(self.probabilities, self.circumstances.settings.threshold)

    @property
    def outside(self) -> str | None:
        """Why the numbers may not hold."""
        return reason_outside(self.analysis.document, self.analysis.risks)


def line_view(analysis: Analysis, now: Circumstances, before: LineView | None = None) -> LineView:
    """What to show of an analysis, as much as possible like what was shown of the document before."""
    fresh = line_risks(analysis.risks, analysis.document)
    top, threshold = now.settings.max_diagnostics, now.settings.threshold
    if before is None:
        lines = sorted(riskiest_lines(_without(fresh, now), top, threshold))
        return LineView(analysis, now, fresh, tuple(lines))
    match = match_lines(before.analysis.document, analysis.document)
    numbers = steady_numbers(fresh, before.numbers, match)
    were_shown = np.zeros(len(before.numbers), dtype=np.bool_)
    if now.settings == before.circumstances.settings:
        were_shown[list(before.chosen)] = True
    lines = steady_lines(_without(numbers, now), threshold, top, were_shown, match)
    return LineView(analysis, now, numbers, tuple(lines))


def heat_steps(probabilities: NDArray[np.float64], threshold: float) -> tuple[int, ...]:
    """How strongly to show each line: 1 from half the threshold on, 2 from the threshold on, 3 and 4 in the last two of
    three equal parts between there and certainty."""
    part = (1 - threshold) / 3
    edges = np.array([threshold / 2, threshold, threshold + part, threshold + 2 * part])
    steps = np.searchsorted(edges, probabilities, side="right")
    return tuple(np.where(probabilities >= _NEVER_WARM, steps, 0).tolist())  # NaN is not warm


def _without(numbers: NDArray[np.float64], circumstances: Circumstances) -> NDArray[np.float64]:
    """The numbers with NaN for ignored lines."""
    left = numbers.copy()
    left[[line for line in circumstances.ignored if line < len(left)]] = np.nan
    return left
