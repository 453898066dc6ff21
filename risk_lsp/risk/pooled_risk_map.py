"""Per-token features of the max-pool probe in, the probability of any span out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk_lsp.errors import BadInput
from risk_lsp.risk.span_risk import as_offsets
from risk_lsp.risk.token_spans import TokenSpans, frozen

# Spans whose features are gathered at once: keeps the intermediate arrays of a query within some tens of megabytes.
_SPANS_AT_ONCE = 65_536


class PooledRiskMap:
    """The risks of one text under the max-pool probe: P(span) = sigmoid(weights . maxima of its features + bias).

    `features` is float32[n, k], `weights` float32[k], all finite. The maximum over any run of tokens takes two look-ups
    in tables of runs of 1, 2, 4, ... tokens, which hold n * k * log2(n) numbers. The answers are NOT coherent: a
    negative weight makes a wider span less likely to be edited than one inside it.
    Raises BadInput for features that do not match the tokens or the weights, or are not finite.
    """

    KIND = "max_pool"

    def __init__(
        self,
        text_length: int,
        starts: NDArray[Any],
        ends: NDArray[Any],
        features: NDArray[Any],
        weights: NDArray[Any],
        bias: float,
        *,
        novelty: float | None = None,
    ) -> None:
        self._tokens = TokenSpans(text_length, starts, ends)
        self.weights: NDArray[np.float32] = frozen(weights.astype(np.float32))
        self.bias = float(bias)
        self.features = self._checked_features(features)
        self.novelty = novelty
        self._maxima = _maxima_of_runs(self.features)

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
        first, last = self._tokens.overlapping(as_offsets(starts), as_offsets(ends))
        result = np.zeros(first.size)
        filled = np.flatnonzero(last.ravel() > first.ravel())
        for chunk in np.array_split(filled, filled.size // _SPANS_AT_ONCE + 1):
            result[chunk] = self._sigmoid(self._pooled(first.ravel()[chunk], last.ravel()[chunk]))
        return result.reshape(first.shape)

    def token_probabilities(self, tokens: NDArray[np.intp] | None = None) -> NDArray[np.float64]:
        """The probability of each token by itself, float64[n], or of the tokens with those indices."""
        return self._sigmoid(self.features if tokens is None else self.features[tokens])

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """A JSON header and the arrays from which from_arrays makes an equal map."""
        header = {"kind": self.KIND, "text_length": self.text_length, "bias": self.bias, "novelty": self.novelty}
        arrays = {"starts": self.starts, "ends": self.ends, "features": self.features, "weights": self.weights}
        return header, arrays

    @classmethod
    def from_arrays(cls, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> PooledRiskMap:
        """The reverse of to_arrays."""
        return cls(header["text_length"], **arrays, bias=header["bias"], novelty=header["novelty"])

    def _pooled(self, first: NDArray[np.int32], last: NDArray[np.int32]) -> NDArray[np.float32]:
        """float32[spans, k]: the maxima over the runs of tokens [first, last), none of them empty."""
        level = np.frexp(last - first)[1] - 1  # the longest run of 2**level tokens that fits
        pooled = np.empty((first.size, self.features.shape[1]), np.float32)
        for each in np.unique(level):
            rows = np.flatnonzero(level == each)
            runs = self._maxima[each]
            pooled[rows] = np.maximum(runs[first[rows]], runs[last[rows] - (1 << int(each))])
        return pooled

    def _sigmoid(self, pooled: NDArray[np.float32]) -> NDArray[np.float64]:
        score = pooled.astype(np.float64) @ self.weights.astype(np.float64) + self.bias
        return np.exp(-np.logaddexp(0.0, -score))

    def _checked_features(self, features: NDArray[Any]) -> NDArray[np.float32]:
        if self.weights.ndim != 1 or features.shape != (len(self._tokens), self.weights.size):
            raise BadInput(
                f"features of shape {features.shape} for {len(self._tokens)} tokens and weights {self.weights.shape}",
                "give one row per token and one weight per column",
            )
        if not (np.isfinite(features).all() and np.isfinite(self.weights).all() and np.isfinite(self.bias)):
            raise BadInput(
                "the probe's features or weights are not finite", "the probe or the model's numbers are damaged"
            )
        return frozen(features.astype(np.float32))


def _maxima_of_runs(features: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Entry j, row i: the maxima over the 2**j tokens from i on; a range of tokens is covered by two such runs."""
    levels = [features]
    while len(levels[-1]) > (half := 1 << (len(levels) - 1)):
        levels.append(np.maximum(levels[-1][:-half], levels[-1][half:]))
    return levels
