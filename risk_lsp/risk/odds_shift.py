"""One person's level of risks: the odds of generated text, shifted within fixed limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk_lsp.risk.span_risk import SpanRisk

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
