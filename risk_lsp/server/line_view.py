"""What is shown of one snapshot, line by line: decided once, for diagnostics, heat map and hover alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from risk_lsp.risk.calibrated_range import reason_outside
from risk_lsp.risk.heat import heat_steps
from risk_lsp.risk.views import line_risks, riskiest_lines
from risk_lsp.server.analysis import Analysis
from risk_lsp.server.ignores import Ignored
from risk_lsp.server.steadiness import carried, steady_lines, steady_numbers
from risk_lsp.settings import Settings
from risk_lsp.text.line_matching import match_lines


@dataclass(frozen=True)
class Circumstances:
    """What decides, apart from the risks, what is shown of a document."""

    settings: Settings
    ignored: Mapping[int, Ignored] = field(default_factory=dict)
    within: frozenset[int] | None = None  # the only lines that may be shown; None: all
    paused: bool = False


@dataclass(frozen=True)
class LineView:
    """`numbers`, float64[lines]: what is shown for each line, NaN for a blank one; `chosen`: the lines most worth
    reading, in the order of the text.

    Of a part of an analysis, lines that are not known yet keep the number they had in the version before, NaN if there
    is none; `known`, bool[lines], tells them apart.
    """

    analysis: Analysis
    circumstances: Circumstances
    numbers: NDArray[np.float64]
    chosen: tuple[int, ...]
    known: NDArray[np.bool_]

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
        return heat_steps(
            _showable(self.numbers, self.circumstances, self.analysis), self.circumstances.settings.threshold
        )

    @property
    def outside(self) -> str | None:
        """Why the numbers may not hold."""
        document = self.analysis.document
        return reason_outside(document.language_id, document.lines.count, self.analysis.risks.novelty)


def line_view(analysis: Analysis, now: Circumstances, before: LineView | None = None) -> LineView:
    """What to show of an analysis, as much as possible like what was shown of the document before."""
    known = analysis.known_lines()
    fresh = np.where(known, line_risks(analysis.risks, analysis.document), np.nan)
    top, threshold = now.settings.max_diagnostics, now.settings.threshold
    if before is None:
        lines = sorted(riskiest_lines(_showable(fresh, now, analysis), top, threshold))
        return LineView(analysis, now, fresh, tuple(lines), known)
    match = match_lines(before.analysis.document, analysis.document)
    numbers = steady_numbers(fresh, before.numbers, before.known, match)
    if not analysis.is_whole:
        numbers = np.where(known, numbers, carried(before.numbers, match, np.nan))
    were_shown = np.zeros(len(before.numbers), dtype=np.bool_)
    if now.settings == before.circumstances.settings:
        were_shown[list(before.chosen)] = True
    lines = steady_lines(_showable(numbers, now, analysis), threshold, top, were_shown, match)
    return LineView(analysis, now, numbers, tuple(lines), known)


def _without(numbers: NDArray[np.float64], circumstances: Circumstances) -> NDArray[np.float64]:
    """The numbers with NaN for ignored lines."""
    left = numbers.copy()
    left[[line for line in circumstances.ignored if line < len(left)]] = np.nan
    return left


def _showable(numbers: NDArray[np.float64], circumstances: Circumstances, analysis: Analysis) -> NDArray[np.float64]:
    """The numbers with NaN for lines that are ignored, hold no code, or are not within what may be shown."""
    left = _without(numbers, circumstances)
    within = analysis.code_lines if circumstances.within is None else analysis.code_lines & circumstances.within
    is_within = np.zeros(len(left), dtype=np.bool_)
    is_within[list(within)] = True
    left[~is_within] = np.nan
    return left
