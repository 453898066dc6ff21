"""Per-token hazards in, the probability of any span out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk_lsp.errors import BadInput
from risk_lsp.probe.calibration import Calibration
from risk_lsp.risk.span_risk import as_offsets
from risk_lsp.risk.token_spans import TokenSpans, frozen

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
        self.hazards: NDArray[np.float32] = _checked_hazards(hazards, len(self._tokens))
        self.calibration = calibration
        self.novelty = novelty
        # Adding a non-negative number never makes a sum smaller, nor does taking a smaller one away, whatever the
        # rounding: so the difference of two entries grows with the span.
        self._sums = np.concatenate((np.zeros(1), np.cumsum(self.hazards, dtype=np.float64)))

    @property
    def text_length(self) -> int:
        """The length of the text in code points."""
        return self._tokens.text_length

    @property
    def starts(self) -> NDArray[np.int32]:
        """Where each token starts, int32[n]."""
        return self._tokens.starts

    @property
    def ends(self) -> NDArray[np.int32]:
        """Where each token ends, int32[n]."""
        return self._tokens.ends

    def probability(self, start: int, end: int) -> float:
        """The probability that the characters [start, end) have to be edited; 0.0 if they hold no token."""
        return float(self.probabilities([start], [end])[0])

    def probabilities(self, starts: ArrayLike, ends: ArrayLike) -> NDArray[np.float64]:
        """The probabilities of many spans, float64 in the shape of the offsets. BadInput for one outside the text."""
        starts, ends = as_offsets(starts), as_offsets(ends)
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

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """A JSON header and the arrays from which from_arrays makes an equal map."""
        header = {
            "kind": self.KIND,
            "text_length": self.text_length,
            "calibration": self.calibration.to_json(),
            "novelty": self.novelty,
        }
        return header, {"starts": self.starts, "ends": self.ends, "hazards": self.hazards}

    @classmethod
    def from_arrays(cls, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> RiskMap:
        """The reverse of to_arrays."""
        calibration = Calibration.from_json(header["calibration"])
        return cls(
            header["text_length"],
            arrays["starts"],
            arrays["ends"],
            arrays["hazards"],
            calibration,
            novelty=header["novelty"],
        )


def _checked_hazards(hazards: NDArray[Any], count: int) -> NDArray[np.float32]:
    if hazards.shape != (count,):
        raise BadInput(f"hazards of shape {hazards.shape} for {count} tokens", "give one hazard per token")
    with np.errstate(over="ignore"):
        checked = hazards.astype(np.float32)
    wrong = np.flatnonzero(~(np.isfinite(checked) & (checked >= 0)))
    if wrong.size:
        raise BadInput(
            f"the hazard of token {wrong[0]} is {checked[wrong[0]]}",
            "hazards are finite and at least 0; the probe or the model's numbers are damaged",
        )
    return frozen(checked)
