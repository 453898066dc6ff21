"""What a code model gives for one text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from risk_lsp.model.encoding import Encoding


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
