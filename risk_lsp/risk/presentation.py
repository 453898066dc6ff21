"""What people see of risks: of lines, functions and tokens, where the lines are; percentages, or only an order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from risk_lsp.probe.calibration import PLACES, LinePlaces, Place, Priors
from risk_lsp.risk.risk_map import OddsShift, ShiftedRisk
from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.text.document import Document, LineIndex, Span, stripped_line_spans
from risk_lsp.text.structure import Structure, StructureNode, code_line_spans, parse_structure


def percent(probability: float) -> str:
    """Two digits at most: "41%"; never "0%" or "100%", since no span is known to be right or wrong."""
    rounded = round(100 * probability)
    if rounded < 1:
        return "<1%"
    return f"{rounded}%" if rounded < 100 else ">99%"


def ordinal(number: int) -> str:
    """ "1st", "2nd", "11th", "1,000th" """
    tens, ones = number // 10 % 10, number % 10
    ending = {1: "st", 2: "nd", 3: "rd"}.get(ones, "th") if tens != 1 else "th"
    return f"{number:,}{ending}"


STEPS = 4
_NEVER_WARM = 0.01  # a line below this has no place in a heat map, whatever the threshold


def heat_edges(threshold: float) -> NDArray[np.float64]:
    """Where the steps 1 to 4 begin: at half the threshold, at it, and then in equal parts between it and certainty."""
    part = (1 - threshold) / 3
    return np.maximum([threshold / 2, threshold, threshold + part, threshold + 2 * part], _NEVER_WARM)


def heat_steps(probabilities: NDArray[np.float64], threshold: float) -> tuple[int, ...]:
    """The step of each line, 0 (not shown) to 4; a line without a probability (NaN) is not shown."""
    steps = np.searchsorted(heat_edges(threshold), probabilities, side="right")
    return tuple(np.where(np.isnan(probabilities), 0, steps).tolist())


LANGUAGE = "python"
# Lines. Held-out programs have 37 on average and 184 at most; files of twelve of them, some 450 lines that are read
# part by part, are as far as the order of lines was measured (docs/probe-attempts.md).
LONGEST = 500
UNLIKE_ALL = 0.99  # of the held-out programs, this share was less unusual to the model
# Lines of code that are no imports. The mean over fewer is mostly noise: plain functions of six lines look unlike all.
FEWEST_TO_READ = 8


def reason_outside(language_id: str, lines: LineIndex, novelty: float | None) -> str | None:
    """Why the numbers may not hold for a text, as one clause for people; None if nothing speaks against them.

    A text with little to read, such as imports and a short function, is never said to be unlike others.
    """
    if language_id != LANGUAGE:
        return f"the numbers were measured on Python programs, and the language of this one is {language_id}"
    if lines.count > LONGEST:
        return f"the numbers were measured on short programs, and this one has {lines.count:,} lines, over {LONGEST:,}"
    if novelty is None or novelty < UNLIKE_ALL:
        return None
    structure = parse_structure(lines.text, LANGUAGE)
    imports = [node.span for node in structure.statements if node.kind.startswith(("import", "future_import"))]
    code = code_line_spans(lines.text, LANGUAGE, structure=structure)
    to_read = sum(not any(span.start <= line.start < span.end for span in imports) for line in code)
    return "this program is unlike those that the numbers were measured on" if to_read >= FEWEST_TO_READ else None


@dataclass(frozen=True)
class FunctionRisk:
    """A function or method and the probability that something in it has to be edited."""

    node: StructureNode
    probability: float


def line_risks(risk: SpanRisk, source: Document | str) -> NDArray[np.float64]:
    """The probability of each line without the white space around it, float64[lines].

    NaN where the line holds nothing that the model reads: where it is blank and, if the bundle reads the normal form,
    where it is a comment.
    """
    starts, ends = (LineIndex(source) if isinstance(source, str) else source.lines).stripped.T
    probabilities = risk.probabilities(starts, ends)
    holds_token = np.searchsorted(risk.ends, starts, side="right") < np.searchsorted(risk.starts, ends, side="left")
    probabilities[(starts == ends) | ~holds_token] = np.nan
    return probabilities


def code_line_risks(risk: SpanRisk, text: str, language_id: str) -> NDArray[np.float64]:
    """The same, but NaN also where the line holds a comment or docstring and no code.

    Edits to those were not what probes learnt from, so such a line is never one to point at.
    """
    probabilities = line_risks(risk, text)
    code = set(code_line_spans(text, language_id))
    return np.where([span in code for span in stripped_line_spans(text)], probabilities, np.nan)


def document_risk(risk: SpanRisk) -> float:
    """The probability that anything in the text has to be edited; 0.0 for a text without tokens."""
    return risk.probability(0, risk.text_length)


def function_risks(risk: SpanRisk, structure: Structure) -> list[FunctionRisk]:
    """The functions and methods of the text, in its order, each with its probability."""
    nodes = structure.functions
    starts, ends = [node.span.start for node in nodes], [node.span.end for node in nodes]
    probabilities = risk.probabilities(starts, ends).tolist()
    return [FunctionRisk(node, probability) for node, probability in zip(nodes, probabilities, strict=True)]


def riskiest_lines(probabilities: Sequence[float] | NDArray[np.float64], top: int, at_least: float = 0.0) -> list[int]:
    """The indices (from 0) of up to `top` lines with the highest probabilities, highest first, then earlier first.

    Blank lines (NaN) and those below `at_least` are left out.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    order = np.argsort(-values, kind="stable")  # NaN sorts last
    return [int(line) for line in order[:top] if values[line] >= at_least]


def driving_tokens(risk: SpanRisk, span: Span, top: int = 3) -> list[Span]:
    """The up to `top` tokens of the span that are likeliest to be edited themselves, in the order of the text.

    A token that an end of the span cuts through counts; one with probability 0 is left out; tokens that share their
    characters are named once.
    """
    if span.start == span.end:
        return []
    inside = np.flatnonzero((risk.starts < span.end) & (risk.ends > span.start))
    best: dict[Span, float] = {}
    for token, probability in zip(inside.tolist(), risk.token_probabilities(inside).tolist(), strict=True):
        place = Span(int(risk.starts[token]), int(risk.ends[token]))
        best[place] = max(best.get(place, 0.0), probability)
    chosen = sorted((place for place in best if best[place] > 0), key=lambda place: (-best[place], place))[:top]
    return sorted(chosen)


def driving_words(risk: SpanRisk, text: str, span: Span, top: int = 3) -> list[Span]:
    """The driving tokens of the span as people see them: without the white space around them, none of it alone, and
    with the rest of the names that they are pieces of, as far as those are in the span."""
    words: dict[Span, None] = {}
    for token in driving_tokens(risk, span, top):
        piece = text[token.start : token.end]
        start, end = token.start + len(piece) - len(piece.lstrip()), token.start + len(piece.rstrip())
        if start >= end:
            continue
        if _is_in_name(text[start]):
            while start > span.start and _is_in_name(text[start - 1]):
                start -= 1
        if _is_in_name(text[end - 1]):
            while end < span.end and _is_in_name(text[end]):
                end += 1
        words[Span(start, end)] = None
    return list(words)


def _is_in_name(character: str) -> bool:
    return ("_" + character).isidentifier()


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


def place_risks(
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
    scaled = risk.scale(factors[places[line]])
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
