"""What is shown of one snapshot, line by line: decided once, steadily, for diagnostics, heat map and hover alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.risk.presentation import heat_steps, reason_outside
from risk_lsp.risk.views import line_risks, riskiest_lines
from risk_lsp.server.documents.analysis import Analysis
from risk_lsp.server.documents.generated import GeneratedRegions
from risk_lsp.server.documents.ignored_lines import Ignored, IgnoreStore, ignored_lines
from risk_lsp.settings import Settings
from risk_lsp.text.tracking import LineMatch, match_lines

SMALLEST_MOVE = 0.02  # a number that moved by less stays as it is
IN_HAND = 0.05  # how far a line that is shown may fall below the threshold, or behind others, and stay shown


def steady_numbers(
    fresh: NDArray[np.float64], shown: NDArray[np.float64], known: NDArray[np.bool_], match: LineMatch
) -> NDArray[np.float64]:
    """The numbers to show, float64[lines], for fresh ones and those shown before (float64[lines of then]).

    Lines above the edit keep theirs exactly, if they were `known` (bool[lines of then]) and not just left from before
    that: a model that reads forwards has seen nothing new there.
    """
    before: NDArray[np.float64] = carried(shown, match, np.nan)
    is_above = (np.arange(len(fresh)) < match.above) & carried(known, match, False)
    stays = ~np.isnan(fresh) & ~np.isnan(before) & (is_above | (np.abs(fresh - before) < SMALLEST_MOVE))
    return np.where(stays, before, fresh)


def steady_lines(
    probabilities: NDArray[np.float64], threshold: float, top: int, shown: NDArray[np.bool_], match: LineMatch
) -> list[int]:
    """The up to `top` lines to show, in the order of the text; `shown`, bool[lines of then], says which were."""
    in_hand = np.where(carried(shown, match, False), IN_HAND, 0.0)
    return sorted(riskiest_lines(probabilities + in_hand, top, threshold))


def carried(values: NDArray[Any], match: LineMatch, missing: float | bool) -> NDArray[Any]:
    """Values by old line as values by new line."""
    found = np.full(len(match.old), missing, dtype=values.dtype)
    known = match.old >= 0
    found[known] = values[match.old[known]]
    return found


@dataclass(frozen=True)
class Circumstances:
    """What decides, apart from the risks, what is shown of a document."""

    settings: Settings
    ignored: Mapping[int, Ignored] = field(default_factory=dict)
    within: frozenset[int] | None = None  # the only lines that may be shown; None: all
    paused: bool = False


@dataclass(frozen=True)
class LineView:
    """`numbers`, float64[lines]: what is shown for each line, NaN for one of which nothing is read; `chosen`: the lines
    most worth reading, in the order of the text.

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


class LineViews:
    """Makes views, each in the light of the one before, and keeps the newest ones of every document."""

    def __init__(self, store: IgnoreStore, regions: GeneratedRegions) -> None:
        self._store = store
        self._regions = regions
        self._newest: dict[str, LineView] = {}
        self._whole: dict[str, LineView] = {}

    def make(self, analysis: Analysis, settings: Settings, paused: bool) -> LineView:
        """The view of an analysis that is new, or shown under new circumstances."""
        uri = analysis.document.uri
        within = self._regions.lines(analysis.document) if settings.scope == "generated" else None
        now = Circumstances(settings, ignored_lines(analysis.document, self._store), within, paused)
        view = self._newest[uri] = line_view(analysis, now, self._newest.get(uri))
        if analysis.is_whole:
            self._whole[uri] = view
        return view

    def get(self, uri: str) -> LineView | None:
        """The view made last."""
        return self._newest.get(uri)

    def get_whole(self, uri: str) -> LineView | None:
        """The last view of a document all of which was known."""
        return self._whole.get(uri)

    def forget(self, uri: str) -> None:
        """Drop what is kept of a document."""
        self._newest.pop(uri, None)
        self._whole.pop(uri, None)

    def forget_all(self) -> None:
        """Drop what is kept of all documents: numbers of another model are nothing to be steady about."""
        self._newest.clear()
        self._whole.clear()
