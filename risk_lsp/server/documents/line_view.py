"""What is shown of one snapshot, line by line: decided once, steadily, for diagnostics, heat map and hover alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.probe.calibration import LinePlaces, Place, Priors, all_lines
from risk_lsp.risk.presentation import (
    PlacedRisk,
    Standing,
    few_at_rest,
    heat_steps,
    line_risks,
    place_risks,
    ranks_of,
    riskiest_lines,
)
from risk_lsp.risk.risk_map import OddsShift
from risk_lsp.server.documents.analysis import Analysis
from risk_lsp.server.documents.document_places import DocumentPlaces, GeneratedRegions
from risk_lsp.server.documents.ignored_lines import IgnoreReason, IgnoreStore, ignored_lines
from risk_lsp.settings import Settings
from risk_lsp.text.tracking import LineMatch, match_lines

SMALLEST_MOVE = 0.02  # a number that moved by less stays as it is
SMALLEST_SHARE = 0.1  # the same where a place has a factor, and so numbers of another size: a share of the number
IN_HAND = 0.05  # how far a line that is shown may fall below the threshold, or behind others, and stay shown


def steady_numbers(fresh: NDArray[np.float64], before: LineView, here: PlacedRisk, match: LineMatch) -> NDArray[Any]:
    """The numbers to show, float64[lines], for fresh ones and those shown before.

    Lines above the edit keep theirs exactly, if they were known and not just left from before that: a model that reads
    forwards has seen nothing new there. Lines that are in another place than before keep nothing, and generated ones
    keep nothing if the person's level is another.
    """
    shown: NDArray[np.float64] = carry_over(before.numbers, match, np.nan)
    shown[carry_over(before.placed.factors, match, np.nan) != here.factors] = np.nan
    if before.placed.shift != here.shift:
        shown[here.generated] = np.nan
    is_above = (np.arange(len(fresh)) < match.above) & carry_over(before.known, match, False)
    is_small = np.abs(fresh - shown) < np.where(here.factors == 1.0, SMALLEST_MOVE, SMALLEST_SHARE * shown)
    stays = ~np.isnan(fresh) & ~np.isnan(shown) & (is_above | is_small)
    return np.where(stays, shown, fresh)


def carry_over(values: NDArray[Any], match: LineMatch, missing: float | bool) -> NDArray[Any]:
    """Values by old line as values by new line."""
    found = np.full(len(match.old), missing, dtype=values.dtype)
    known = match.old >= 0
    found[known] = values[match.old[known]]
    return found


@dataclass(frozen=True)
class Circumstances:
    """What decides, apart from the risks, what is shown of a document."""

    settings: Settings
    ignored: Mapping[int, IgnoreReason] = field(default_factory=dict)
    within: frozenset[int] | None = None  # the only lines that may be shown; None: all
    paused: bool = False
    places: LinePlaces | None = None  # int8[lines]; None: all lines are generated
    priors: Priors = field(default_factory=Priors)
    shift: OddsShift | None = None  # of the odds of generated lines, for this person


@dataclass(frozen=True)
class LineView:
    """`placed`: the risks in light of the lines' places; `numbers`, float64[lines]: what is shown for each line, NaN
    for one of which nothing is read; `chosen`: the lines most worth reading, in the order of the text.

    Of a part of an analysis, lines that are not known yet keep the number they had in the version before, NaN if there
    is none; `known`, bool[lines], tells them apart.
    """

    analysis: Analysis
    circumstances: Circumstances
    placed: PlacedRisk
    numbers: NDArray[np.float64]
    chosen: tuple[int, ...]
    known: NDArray[np.bool_]

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """The numbers, and NaN also for ignored lines."""
        return _without_ignored(self.numbers, self.circumstances)

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

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """The rank of each line of code from 1, int64[lines]; 0 for other lines, and for those without a number."""
        return ranks_of(np.where(_code_mask(self.analysis), self.numbers, np.nan))

    def standing(self, line: int) -> Standing:
        """What may be said of the number of a line."""
        return self.placed.of_line(line, self.ranks)


def line_view(analysis: Analysis, now: Circumstances, before: LineView | None = None) -> LineView:
    """What to show of an analysis, as much as possible like what was shown of the document before."""
    document, is_code = analysis.document, _code_mask(analysis)
    known = analysis.knows(document.lines.stripped)
    places = all_lines(Place.GENERATED, document.lines.count) if now.places is None else now.places
    here = place_risks(analysis.risks, document.lines, places, now.priors, document.language_id, now.shift)
    numbers = np.where(known, line_risks(here.risks, document), np.nan)
    in_hand = np.zeros(len(numbers))
    if before is not None:
        match = match_lines(before.analysis.document, document)
        numbers = steady_numbers(numbers, before, here, match)
        if not analysis.is_whole:
            numbers = np.where(known, numbers, carry_over(before.numbers, match, np.nan))
        if now.settings == before.circumstances.settings:
            were_shown = np.zeros(len(before.numbers), dtype=np.bool_)
            were_shown[list(before.chosen)] = True
            in_hand = np.where(carry_over(were_shown, match, False), IN_HAND, 0.0)
    # The likeliest lines, in the order of the text, and few of code at rest.
    above = riskiest_lines(_showable(numbers, now, analysis) + in_hand, len(numbers), now.settings.threshold)
    lines = sorted(few_at_rest(above, here.at_rest, is_code)[: now.settings.max_diagnostics])
    return LineView(analysis, now, here, numbers, tuple(lines), known)


def _code_mask(analysis: Analysis) -> NDArray[np.bool_]:
    """bool[lines]: which hold more than a comment or docstring."""
    found = np.zeros(analysis.document.lines.count, dtype=np.bool_)
    found[list(analysis.layout.code_lines)] = True
    return found


def _without_ignored(numbers: NDArray[np.float64], circumstances: Circumstances) -> NDArray[np.float64]:
    """The numbers with NaN for ignored lines."""
    left = numbers.copy()
    left[[line for line in circumstances.ignored if line < len(left)]] = np.nan
    return left


def _showable(numbers: NDArray[np.float64], circumstances: Circumstances, analysis: Analysis) -> NDArray[np.float64]:
    """The numbers with NaN for lines that are ignored, hold no code, or are not within what may be shown."""
    left = np.where(_code_mask(analysis), _without_ignored(numbers, circumstances), np.nan)
    if circumstances.within is not None:
        left[[line for line in range(len(left)) if line not in circumstances.within]] = np.nan
    return left


class ViewMaker:
    """Makes views, each in the light of the one before, and keeps the newest ones of every document."""

    def __init__(
        self,
        store: IgnoreStore,
        regions: GeneratedRegions,
        places: DocumentPlaces,
        priors: Callable[[], Priors],
        shift_for: Callable[[str], OddsShift | None],
    ) -> None:
        self._store = store
        self._regions = regions
        self._places = places
        self._priors = priors
        self._shift_for = shift_for  # by language
        self._newest: dict[str, LineView] = {}
        self._whole: dict[str, LineView] = {}

    def make(self, analysis: Analysis, settings: Settings, paused: bool) -> LineView:
        """The view of an analysis that is new, or shown under new circumstances."""
        uri = analysis.document.uri
        document = analysis.document
        generated = self._regions.lines(document)
        now = Circumstances(
            settings=settings,
            ignored=ignored_lines(document, self._store),
            within=generated if settings.scope == "generated" else None,
            paused=paused,
            places=self._places.lines(document, settings.place_of_text, generated),
            priors=self._priors(),
            shift=self._shift_for(document.language_id),
        )
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
