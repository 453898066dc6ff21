"""Which place each line of a text is in, and the risks in light of it: percentages, or only an order."""

from __future__ import annotations

import os
import re
import sysconfig
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.probe.calibration import Place, Priors
from risk_lsp.risk.changes import Ranges, changed_mask, changes_since
from risk_lsp.risk.odds_shift import OddsShift, ShiftedRisk
from risk_lsp.risk.presentation import FunctionRisk, function_risks, ordinal, percent, reason_outside
from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.text.document import LineIndex, Span
from risk_lsp.text.structure import Structure

PLACES = tuple(Place)  # the number of a place, in arrays, is its index here
LinePlaces = NDArray[np.int8]


@dataclass(frozen=True)
class TextPlace:
    """The place of a text's lines; those in `changed` have changed since the last commit."""

    place: Place
    changed: Ranges = ()

    def of_lines(self, lines: LineIndex) -> LinePlaces:
        """The number of each line's place, int8[lines]."""
        found = all_lines(self.place, lines.count)
        if self.changed:
            found[changed_mask(lines, self.changed)] = PLACES.index(Place.CHANGED)
        return found


def all_lines(place: Place, count: int) -> LinePlaces:
    """One place for so many lines, int8[count]."""
    return np.full(count, PLACES.index(place), dtype=np.int8)


UNKNOWN = TextPlace(Place.GENERATED)  # of a text of which nothing is known: as far as that goes, nobody reviewed it

_INSTALLED = frozenset({"site-packages", "dist-packages"})
_LIBRARY = re.compile(r"/lib(?:64|32)?/python\d(?:\.\d+)?/")  # of an interpreter other than the one that runs this


def is_installed(path: Path) -> bool:
    """Whether a file belongs to an installed library or to an interpreter's standard library."""
    return (
        not _INSTALLED.isdisjoint(path.parts)
        or _LIBRARY.search(path.as_posix()) is not None
        or path.is_relative_to(sysconfig.get_paths()["stdlib"])
    )


_PATHS_AT_MOST = 200  # that git is told by name; for more, it looks at the whole repository


def places_of(paths: Sequence[Path], seconds: float = 10.0, *, ask_git: bool = True) -> list[TextPlace]:
    """The place of each file, in order.

    Installed libraries are at rest. In a git work tree, tracked lines that are as in the last commit are at rest,
    tracked lines that differ are changed, and an untracked file is generated. Any other file is generated. Git is
    asked once for each repository, for at most `seconds`; where it fails, or may not be asked, the file counts as
    outside of a repository.
    """
    found: dict[Path, TextPlace] = {}
    by_root: dict[Path, list[Path]] = defaultdict(list)
    files = [Path(os.path.realpath(path)) for path in paths]
    for file in dict.fromkeys(files):
        if is_installed(file):
            found[file] = TextPlace(Place.AT_REST)
            continue
        marked = (folder for folder in file.parents if (folder / ".git").exists())
        if ask_git and (root := next(marked, None)) is not None:
            by_root[root].append(file)
    for root, inside in by_root.items():
        try:
            changes = changes_since("HEAD", root, inside if len(inside) <= _PATHS_AT_MOST else (), seconds)
        except BadInput:  # no git, no commit yet, a repository of somebody else, ...
            continue
        tracked = [file for file in inside if file in changes.tracked]
        found |= {file: TextPlace(Place.AT_REST, changes.ranges.get(file, ())) for file in tracked}
    return [found.get(file, UNKNOWN) for file in files]


_UNMEASURED = {
    Place.GENERATED: "how often generated lines need an edit was not measured",
    Place.CHANGED: "how often changed lines need an edit was not measured",
    Place.AT_REST: "how often lines of code at rest need an edit was not measured",
}
LINES_PER_HINT = 50  # of code at rest


@dataclass(frozen=True)
class Standing:
    """What may be said of a number: a percentage, or only its rank among `of` others like it, from 1.

    `place` is None for a span of several places, `rank` for a span that is not compared with others. `why` is one
    clause for people: why the number is no percentage. It is None where the number is one.
    """

    place: Place | None
    rank: int | None
    of: int | None
    why: str | None

    @property
    def gives(self) -> Literal["percent", "order"]:
        """Which of the two people are told."""
        return "percent" if self.why is None else "order"

    def short(self, probability: float) -> str:
        """ "41%", or "1st"; empty for an order without a rank."""
        if self.why is None:
            return percent(probability)
        return "" if self.rank is None else ordinal(self.rank)

    def sentence(self, probability: float, things: str = "lines") -> str:
        """ "41% likely to need an edit", or "1st of 40 lines to read"."""
        if self.why is None:
            return f"{percent(probability)} likely to need an edit"
        among = things.removesuffix("s") if self.of == 1 else things
        return "no line of code" if self.rank is None else f"{ordinal(self.rank)} of {self.of:,} {among} to read"

    def to_json(self) -> dict[str, Any]:
        """The same for programs; "why" is there for an order alone."""
        place = "mixed" if self.place is None else self.place.value
        found = {"gives": self.gives, "rank": self.rank, "of": self.of, "place": place}
        return found if self.why is None else {**found, "why": self.why}


@dataclass(frozen=True)
class PlacedRisk:
    """`risks` hold the factor of each token's place; `places` int8[lines]; `outside`: why no number may hold.

    `shift`: what the odds of generated lines are shifted by in `risks`, for one person.
    """

    risks: SpanRisk
    lines: LineIndex
    places: LinePlaces
    priors: Priors
    outside: str | None
    shift: OddsShift | None = None

    @property
    def factors(self) -> NDArray[np.float64]:
        """The factor of each line's hazards, float64[lines]."""
        return factors_of(self.priors)[self.places]

    @property
    def generated(self) -> NDArray[np.bool_]:
        """bool[lines]: which lines are generated."""
        return np.asarray(self.places == PLACES.index(Place.GENERATED), dtype=np.bool_)

    @property
    def at_rest(self) -> NDArray[np.bool_]:
        """bool[lines]: which lines are code at rest."""
        return np.asarray(self.places == PLACES.index(Place.AT_REST), dtype=np.bool_)

    def before_shift(self, span: Span) -> float | None:
        """The probability that others are told for a generated span; None where nothing is shifted."""
        is_generated = self._places_in(self._lines_of(span)) == [Place.GENERATED]
        if not isinstance(self.risks, ShiftedRisk) or not is_generated:
            return None
        return self.risks.unshifted.probability(*span)

    def for_everybody(self) -> PlacedRisk:
        """The same without the shift for one person."""
        if not isinstance(self.risks, ShiftedRisk):
            return self
        return replace(self, risks=self.risks.unshifted, shift=None)

    def places_of_lines(self) -> list[Place]:
        """The place of each line."""
        return [PLACES[number] for number in self.places.tolist()]

    def orders(self) -> dict[str, str]:
        """For each place in the text whose lines give an order alone: why."""
        reasons = {place.value: self._why([place]) for place in self._places_in(range(self.lines.count))}
        return {name: why for name, why in reasons.items() if why is not None}

    def of_line(self, line: int, ranks: NDArray[np.int64]) -> Standing:
        """The standing of a line, given `ranks_of` all."""
        rank = int(ranks[line])
        return self._standing(range(line, line + 1), rank or None, int(ranks.max(initial=0)))

    def of_span(self, span: Span, ranks: NDArray[np.int64]) -> Standing:
        """The standing of a span, given `ranks_of` all lines: it has the rank of the first to read of its lines."""
        lines = self._lines_of(span)
        inside = ranks[lines.start : lines.stop]
        rank = int(inside[inside > 0].min(initial=len(ranks) + 1))
        return self._standing(lines, rank if rank <= len(ranks) else None, int(ranks.max(initial=0)))

    def functions(self, structure: Structure) -> list[tuple[FunctionRisk, Standing]]:
        """The functions and methods of the text with their risks and their standings among each other."""
        found = function_risks(self.risks, structure)
        ranks = ranks_of(np.array([function.probability for function in found], dtype=np.float64)).tolist()
        return [
            (function, self._standing(self._lines_of(function.node.span), rank, len(found)))
            for function, rank in zip(found, ranks, strict=True)
        ]

    def _lines_of(self, span: Span) -> range:
        return range(self.lines.line_of(span.start), self.lines.line_of(max(span.start, span.end - 1)) + 1)

    @cached_property
    def whole(self) -> Standing:
        """The standing of the whole text."""
        return self._standing(range(self.lines.count), None, None)

    def _standing(self, lines: range, rank: int | None, of: int | None) -> Standing:
        places = self._places_in(lines)
        return Standing(places[0] if len(places) == 1 else None, rank, of, self._why(places))

    def _places_in(self, lines: range) -> list[Place]:
        """The places of neighbouring lines; that of a blank one says nothing, unless all are blank."""
        part = slice(lines.start, lines.stop)
        has_content = self.lines.stripped[part, 0] < self.lines.stripped[part, 1]
        places = self.places[part][has_content] if has_content.any() else self.places[part]
        return [PLACES[number] for number in np.unique(places).tolist()]

    def _why(self, places: Sequence[Place]) -> str | None:
        unmeasured = (_UNMEASURED[place] for place in places if not self.priors.of(place).measured)
        return self.outside or next(unmeasured, None)


def factors_of(priors: Priors) -> NDArray[np.float64]:
    """The factors by the number of the place, float64[places]."""
    return np.array([priors.of(place).factor for place in PLACES], dtype=np.float64)


def placed(
    risk: SpanRisk,
    lines: LineIndex,
    places: LinePlaces,
    priors: Priors,
    language_id: str,
    shift: OddsShift | None = None,
) -> PlacedRisk:
    """The risks of a text as they are in these places, int8[lines], for everybody or shifted for one person.

    A token is in the place of the line where its last character stands: most tokens begin with the white space before
    a word.
    """
    outside = reason_outside(language_id, lines, risk.novelty)
    factors = factors_of(priors)
    generated = places == PLACES.index(Place.GENERATED)
    shift = shift if generated.any() else None
    if (factors[np.unique(places)] == 1.0).all() and shift is None:
        return PlacedRisk(risk, lines, places, priors, outside)
    last = np.maximum(risk.starts, risk.ends - 1)
    line = np.searchsorted(lines.starts, last, side="right") - 1
    scaled = risk.scaled(factors[places[line]])
    if shift is not None:
        scaled = ShiftedRisk(scaled, generated[line], shift)
    return PlacedRisk(scaled, lines, places, priors, outside, shift)


def ranks_of(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """The rank of each line from 1, the likeliest first, then the earlier one; 0 where there is no number (NaN)."""
    ranks = np.zeros(len(probabilities), dtype=np.int64)
    order = np.argsort(-probabilities, kind="stable")  # NaN sorts last
    known = order[~np.isnan(probabilities[order])]
    ranks[known] = np.arange(1, len(known) + 1)
    return ranks


def few_at_rest(chosen: Sequence[int], at_rest: NDArray[np.bool_], is_code: NDArray[np.bool_]) -> list[int]:
    """The chosen lines, the likeliest first, without those of code at rest beyond one for 50 of its lines, begun ones
    counted; `at_rest` and `is_code` are bool[lines]."""
    left = -(-int(np.count_nonzero(at_rest & is_code)) // LINES_PER_HINT)
    kept = []
    for line in chosen:
        if at_rest[line]:
            left -= 1
        if not at_rest[line] or left >= 0:
            kept.append(line)
    return kept
