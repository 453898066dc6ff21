"""What the probe sees of a token: the tapped activations and, on request, the model's own uncertainty about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import ModelError
from risk_lsp.model.activations import Activations
from risk_lsp.probe.layout import LAYOUT

STATISTICS = 3  # surprisal, entropy, and how much more surprising the token was than the model expected


def feature_count(layers: int, width: int, *, statistics: bool, layout: bool = False) -> int:
    """Numbers per token for `layers` tapped layers of `width`, behind those of the token's layout if it is read."""
    return (LAYOUT if layout else 0) + layers * width + (STATISTICS if statistics else 0)


def token_features(
    activations: Activations,
    *,
    statistics: bool,
    tokens: slice = slice(None),
    before: Sequence[NDArray[np.float32]] = (),
) -> NDArray[np.float32]:
    """float32[tokens, features]: the layers side by side, then surprisal, entropy and their difference in nats.

    `before` are columns of the same tokens that come first. Raises ModelError if a number is not finite (a damaged
    model, or one run in too narrow a type).
    """
    values = activations.values[tokens]
    parts = [*before, values.reshape(len(values), values.shape[1] * values.shape[2])]
    if statistics:
        if activations.log_probabilities is None or activations.entropies is None:
            raise ModelError(
                "the probe wants token statistics that the model was not asked for", "read with statistics=True"
            )
        surprisal, entropy = -activations.log_probabilities[tokens], activations.entropies[tokens]
        parts.append(np.stack([surprisal, entropy, surprisal - entropy], axis=1))
    features = np.concatenate(parts, axis=1, dtype=np.float32)
    if not np.isfinite(features).all():
        raise ModelError("the model's activations are not finite", "use dtype float32 or bfloat16, or another model")
    return features
