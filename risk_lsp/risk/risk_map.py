"""Per-token hazards in, the probability of any span out, by look-up; and the odds of generated text, shifted to one
person's level within fixed limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk_lsp.errors import BadInput, WorkerError
from risk_lsp.probe.calibration import Calibration
from risk_lsp.text.document import Span

if TYPE_CHECKING:
    from risk_lsp.risk.span_risk import SpanRisk

Arrays = dict[str, NDArray[Any]]

OTHER_VERSION = "the two processes run different versions; restart them"


class TokenSpans:
    """The character spans of a text's tokens, and the run of tokens that overlap any span of the text.

    `starts` and `ends` are int32[n], both never decreasing, within the text. Neighbours may share characters,
    characters may lack a token, and a token may stand for no character, between two. An empty span holds no token, and
    the whole text holds all. Raises BadInput if the arrays are anything else.
    """

    def __init__(self, text_length: int, starts: NDArray[Any], ends: NDArray[Any]) -> None:
        self.text_length = text_length
        self.starts = _integers("starts", starts)
        self.ends = _integers("ends", ends)
        if len(self.starts) != len(self.ends):
            raise BadInput(f"{len(self.starts)} token starts, but {len(self.ends)} token ends", "give one of each")
        if len(self) == 0:
            return
        in_text = self.starts[0] >= 0 and self.ends[-1] <= text_length
        ordered = (np.diff(self.starts) >= 0).all() and (np.diff(self.ends) >= 0).all()
        if not (in_text and ordered and (self.starts <= self.ends).all()):
            raise BadInput("the token spans are out of order, or leave the text", "take them from one encoding")

    def __len__(self) -> int:
        return len(self.starts)

    def overlapping(self, starts: NDArray[Any], ends: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """For spans [starts, ends): the first token of each and the one after its last, both int32, first <= last.

        Raises BadInput for a span that is reversed or outside of the text.
        """
        starts, ends = self._spans(starts, ends)
        is_whole = (starts == 0) & (ends == self.text_length)
        ended_by, begun_before = self._counts
        first = np.where(is_whole, 0, ended_by[starts])
        last = np.where(is_whole, len(self), begun_before[ends])
        return first, np.where(starts < ends, last, first)

    @cached_property
    def _counts(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """For each offset, how many tokens end at or before it, and how many start before it.

        A look-up of each is several times faster than a binary search of each.
        """
        ended, begun = (
            np.cumsum(np.bincount(each, minlength=self.text_length + 1), dtype=np.int32)
            for each in (self.ends, self.starts)
        )
        return ended, np.concatenate((np.zeros(1, np.int32), begun[:-1]))

    def _spans(self, starts: NDArray[Any], ends: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        if starts.shape != ends.shape:
            raise BadInput(f"{starts.shape} span starts, but {ends.shape} span ends", "give one of each")
        if starts.size == 0:
            return starts.astype(np.int32), ends.astype(np.int32)
        if starts.dtype.kind not in "iu" or ends.dtype.kind not in "iu":
            raise BadInput("span offsets have to be whole numbers", "give code-point offsets into the text")
        if int(starts.min()) < 0 or int(ends.max()) > self.text_length or bool((starts > ends).any()):
            place = int(np.flatnonzero((starts < 0) | (ends > self.text_length) | (starts > ends))[0])
            raise BadInput(
                f"span {int(starts.flat[place])}-{int(ends.flat[place])} does not fit a text of"
                f" {self.text_length} characters",
                "a span starts at or after 0, ends at or before the text's length, and does not end before it starts",
            )
        return starts, ends


def _integers(name: str, values: NDArray[Any]) -> NDArray[np.int32]:
    if values.ndim != 1 or (values.size and values.dtype.kind not in "iu"):
        raise BadInput(f"token {name} have to be one row of whole numbers", "take them from one encoding")
    return freeze(values.astype(np.int32))


def freeze(array: NDArray[Any]) -> NDArray[Any]:
    """The array, not writable from here on."""
    array.setflags(write=False)
    return array


_SPANS_AT_ONCE = 1 << 14  # what is computed on the way stays in the processor's cache: twice as fast for a million


class RiskMap:
    """The risks of one text under the hazard probe: P(span) is a monotone function of the sum of its tokens' hazards.

    `starts`, `ends` (int32[n]) are the tokens' character spans, `hazards` (float32[n]) are non-negative. A query is two
    look-ups in prefix sums and a power, and the answers are coherent: a span inside another one is never likelier to be
    edited. Raises BadInput for hazards that are negative, infinite or NaN, or do not match the tokens.
    """

    KIND = "hazard"

    def __init__(
        self,
        text_length: int,
        starts: NDArray[Any],
        ends: NDArray[Any],
        hazards: NDArray[Any],
        calibration: Calibration,
        *,
        novelty: float | None = None,
    ) -> None:
        self._tokens = TokenSpans(text_length, starts, ends)
        self.text_length, self.starts, self.ends = text_length, self._tokens.starts, self._tokens.ends
        if hazards.shape != (len(self._tokens),):
            raise BadInput(f"hazards of shape {hazards.shape} for {len(self._tokens)} tokens", "give one per token")
        with np.errstate(over="ignore"):
            self.hazards: NDArray[np.float32] = freeze(hazards.astype(np.float32))
        wrong = np.flatnonzero(~(np.isfinite(self.hazards) & (self.hazards >= 0)))
        if wrong.size:
            raise BadInput(
                f"the hazard of token {wrong[0]} is {self.hazards[wrong[0]]}",
                "hazards are finite and at least 0; the probe or the model's numbers are damaged",
            )
        self.calibration = calibration
        self.novelty = novelty
        # Adding a non-negative number never makes a sum smaller, nor does taking a smaller one away, whatever the
        # rounding: so the difference of two entries grows with the span.
        self._sums = np.concatenate((np.zeros(1), np.cumsum(self.hazards, dtype=np.float64)))

    def probability(self, start: int, end: int) -> float:
        """The probability that the characters [start, end) have to be edited; 0.0 if they hold no token."""
        return float(self.probabilities([start], [end])[0])

    def probabilities(self, starts: ArrayLike, ends: ArrayLike) -> NDArray[np.float64]:
        """The probabilities of many spans, float64 in the shape of the offsets. BadInput for one outside the text."""
        starts, ends = np.asarray(starts), np.asarray(ends)
        if starts.shape != ends.shape or starts.size <= _SPANS_AT_ONCE:
            return self._probabilities(starts, ends)
        flat_starts, flat_ends = starts.reshape(-1), ends.reshape(-1)
        parts = [slice(first, first + _SPANS_AT_ONCE) for first in range(0, starts.size, _SPANS_AT_ONCE)]
        found = [self._probabilities(flat_starts[part], flat_ends[part]) for part in parts]
        return np.concatenate(found).reshape(starts.shape)

    def _probabilities(self, starts: NDArray[Any], ends: NDArray[Any]) -> NDArray[np.float64]:
        first, last = self._tokens.overlapping(starts, ends)
        return self.calibration.probability(self._sums[last] - self._sums[first])

    def token_probabilities(self, tokens: NDArray[np.intp] | None = None) -> NDArray[np.float64]:
        """The probability of each token by itself, float64[n], or of the tokens with those indices."""
        return self.calibration.probability(self.hazards if tokens is None else self.hazards[tokens])

    def scale(self, factors: NDArray[np.float64]) -> RiskMap:
        """The map in which the hazard of each token is multiplied by its factor, float64[n], finite and at least 0."""
        with np.errstate(over="ignore"):
            hazards = np.minimum(self.hazards * factors, np.finfo(np.float32).max)
        tokens = self._tokens
        return RiskMap(tokens.text_length, tokens.starts, tokens.ends, hazards, self.calibration, novelty=self.novelty)

    def cut(self, span: Span, text_length: int) -> RiskMap:
        """The map that knows of tokens in a span alone, of a text of another length that is the same up to its end."""
        tokens = self._tokens
        inside = (tokens.starts < span.end) & (tokens.ends > span.start)
        starts, ends = np.maximum(tokens.starts[inside], span.start), np.minimum(tokens.ends[inside], span.end)
        return RiskMap(text_length, starts, ends, self.hazards[inside], self.calibration, novelty=self.novelty)

    def splice(self, removed: Span, part: RiskMap) -> RiskMap:
        """The map of an edited text: this one without the characters `removed`, and in their place `part`, which is of
        the text after the edit and knows of tokens in the new characters alone.
        """
        tokens, moved = self._tokens, part.text_length - self.text_length
        before = tokens.ends <= removed.start
        behind = (tokens.starts >= removed.end) & ~before
        return RiskMap(
            part.text_length,
            np.concatenate([tokens.starts[before], part.starts, tokens.starts[behind] + moved]),
            np.concatenate([tokens.ends[before], part.ends, tokens.ends[behind] + moved]),
            np.concatenate([self.hazards[before], part.hazards, self.hazards[behind]]),
            self.calibration,
            novelty=self.novelty,
        )

    def to_arrays(self) -> tuple[dict[str, Any], Arrays]:
        """A JSON header and the arrays from which from_arrays makes an equal map, in another process too."""
        header = {
            "kind": self.KIND,
            "text_length": self.text_length,
            "calibration": self.calibration.to_json(),
            "novelty": self.novelty,
        }
        return header, {"starts": self.starts, "ends": self.ends, "hazards": self.hazards}

    @classmethod
    def from_arrays(cls, header: dict[str, Any], arrays: Arrays) -> RiskMap:
        """The map that wrote these with its to_arrays. Raises WorkerError if no map of this version did."""
        kind = header.get("kind")
        if kind != cls.KIND:
            raise WorkerError(f"risks of unknown kind {kind!r}", OTHER_VERSION)
        try:
            return cls(
                header["text_length"],
                arrays["starts"],
                arrays["ends"],
                arrays["hazards"],
                Calibration.from_json(header["calibration"]),
                novelty=header["novelty"],
            )
        except (KeyError, TypeError) as error:
            raise WorkerError(f"risks of kind {kind!r} lack a part: {error}", OTHER_VERSION) from error


LARGEST_RATIO = 4.0  # of shifted odds to odds, either way
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class OddsShift:
    """The logit of a probability, l, becomes l + level + slope * (l - centre), but odds at most four times as large or
    small.

    `lines` of the person are behind it. Raises ValueError unless slope is above -1: the order of numbers would turn.
    """

    level: float
    slope: float = 0.0
    centre: float = 0.0
    lines: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.level) and math.isfinite(self.centre) and self.slope > -1.0):
            raise ValueError(f"no shift has the level {self.level} and the slope {self.slope}")

    def probability(self, probability: ArrayLike) -> Floats:
        """Probabilities with their odds shifted, in the same shape; NaN stays NaN.

        Every step keeps the order, rounding included.
        """
        before = np.asarray(probability, dtype=np.float64)
        with np.errstate(divide="ignore", over="ignore"):
            odds = before / (1.0 - before)
            shifted = odds * math.exp(self.level)
            if self.slope:
                shifted = math.exp(self.level - self.slope * self.centre) * odds ** (1.0 + self.slope)
            return np.asarray(
                1.0 / (1.0 + 1.0 / np.clip(shifted, odds / LARGEST_RATIO, odds * LARGEST_RATIO)), dtype=np.float64
            )

    def differs_from(self, other: OddsShift | None) -> bool:
        """Whether a person would see numbers move between the two: by a twentieth of the odds or more."""
        level, slope = (0.0, 0.0) if other is None else (other.level, other.slope)
        return abs(self.level - level) >= 0.05 or abs(self.slope - slope) >= 0.05


class ShiftedRisk:
    """The risks of a text of which only some tokens are generated: `shift` moves the odds of those alone.

    `generated`, bool[tokens]. For the odds O of a span, those of its generated tokens alone, G, and those of the
    others, R, the span gets the largest of shifted G, R, and O as far as the shift lowers it. So a span without
    generated tokens keeps its probability, one of nothing else has its odds shifted, the odds of any span stay within
    the limits, and a span inside another one is never likelier.
    """

    def __init__(self, risk: SpanRisk, generated: NDArray[np.bool_], shift: OddsShift) -> None:
        self.unshifted = risk
        self.shift = shift
        self.text_length, self.starts, self.ends, self.novelty = risk.text_length, risk.starts, risk.ends, risk.novelty
        self._mask = generated
        self._all = bool(generated.all())
        self._generated = risk if self._all else risk.scale(generated.astype(np.float64))
        self._others = risk if self._all else risk.scale((~generated).astype(np.float64))

    def probability(self, start: int, end: int) -> float:
        """The probability for one span."""
        return float(self.probabilities([start], [end])[0])

    def probabilities(self, starts: ArrayLike, ends: ArrayLike) -> Floats:
        """The probabilities for many spans, float64 in the shape of the offsets."""
        whole = self.unshifted.probabilities(starts, ends)
        if self._all:
            return self.shift.probability(whole)
        generated = self._generated.probabilities(starts, ends)
        others = self._others.probabilities(starts, ends)
        lowered = np.minimum(self.shift.probability(whole), whole)
        return np.maximum(np.maximum(self.shift.probability(generated), others), lowered)

    def token_probabilities(self, tokens: NDArray[np.intp] | None = None) -> Floats:
        """The probability of each token by itself, float64[n], or of the tokens with those indices."""
        found = self.unshifted.token_probabilities(tokens)
        generated = self._mask if tokens is None else self._mask[tokens]
        return np.where(generated, self.shift.probability(found), found)

    def scale(self, factors: Floats) -> ShiftedRisk:
        """The same shift of the risks with the hazard of each token multiplied by its factor."""
        return ShiftedRisk(self.unshifted.scale(factors), self._mask, self.shift)

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Those of the risks before the shift, which belongs to the process that shows them."""
        return self.unshifted.to_arrays()
