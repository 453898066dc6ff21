"""The probe at work on one text's activations: numbers for the RiskMap, without torch in its types."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from risk_lsp.model.activations import Activations
from risk_lsp.probe.features import token_features
from risk_lsp.probe.heads import HazardHead, SpanHead
from risk_lsp.probe.manifest import Manifest
from risk_lsp.probe.novelty import novelty_distance, novelty_of


class TokenReading(NamedTuple):
    """`values`: hazards float32[n], or for the max-pool probe features float32[n, hidden] with `weights` and `bias`."""

    values: NDArray[np.float32]
    novelty: float | None
    weights: NDArray[np.float32] | None = None
    bias: float = 0.0


@torch.inference_mode()
def read_tokens(head: SpanHead, activations: Activations, manifest: Manifest) -> TokenReading:
    """Run the probe over every token of one text, in float32."""
    features = torch.from_numpy(token_features(activations, statistics=manifest.statistics))
    values = head(features).numpy()
    novelty = novelty_of(_distance(head, features), manifest.novelty)
    if isinstance(head, HazardHead):
        return TokenReading(values, novelty)
    return TokenReading(values, novelty, head.output.weight.numpy().reshape(-1), float(head.output.bias))


@torch.inference_mode()
def text_distance(head: SpanHead, activations: Activations, *, statistics: bool) -> float:
    """How far one text's features are from those the probe was fitted to."""
    return _distance(head, torch.from_numpy(token_features(activations, statistics=statistics)))


def _distance(head: SpanHead, features: torch.Tensor) -> float:
    return novelty_distance(head.encoder.standardised(features).numpy())
