"""A text as tokens, and what a code model gives for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Encoding:
    """Token ids and character spans of one text, without special tokens.

    `token_ids`, `starts` and `ends` are int32[n]. Token i stands for the characters [starts[i], ends[i]) of the
    original text (code points). Tokens that share one character carry the same span. Starts and ends never decrease,
    and every character of the text belongs to at least one token.
    """

    token_ids: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.token_ids)

    def some(self, tokens: NDArray[np.integer]) -> Encoding:
        """Those tokens alone, given by rising indices: the one encoding in which characters may lack a token."""
        return Encoding(self.token_ids[tokens], self.starts[tokens], self.ends[tokens])

    def tokens_at(self, offsets: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int64]:
        """For each character offset, the index of the first token that reaches past it (n at the end of the text)."""
        return np.searchsorted(self.ends, np.asarray(offsets, dtype=np.int64), side="right").astype(np.int64)


@dataclass(frozen=True, eq=False)
class Activations:
    """The residual stream at the tapped layers, and on request the model's own uncertainty, per token.

    `values` is float32[n, len(layers), width]; layer k is the residual stream after k decoder blocks (0: the input of
    the first block), before any final norm. `log_probabilities[i]` is log p(token i | the tokens before it) and
    `entropies[i]` the entropy of that same distribution, both float32[n] in nats, or None when not asked for. The
    first token of a text has 0.0 in both if the model has nothing before it (no beginning-of-text token).
    """

    encoding: Encoding
    layers: tuple[int, ...]
    values: NDArray[np.float32]
    log_probabilities: NDArray[np.float32] | None = None
    entropies: NDArray[np.float32] | None = None

    def some(self, tokens: NDArray[np.integer]) -> Activations:
        """Those tokens alone, given by rising indices, in arrays of their own."""
        log_probabilities = None if self.log_probabilities is None else self.log_probabilities[tokens]
        entropies = None if self.entropies is None else self.entropies[tokens]
        return Activations(self.encoding.some(tokens), self.layers, self.values[tokens], log_probabilities, entropies)
