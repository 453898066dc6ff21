"""The probe at work on one text's activations: numbers for the RiskMap."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.model.activations import Activations
from risk_lsp.probe.features import token_features
from risk_lsp.probe.manifest import Manifest
from risk_lsp.probe.novelty import novelty_distance, novelty_of
from risk_lsp.probe.reader import ProbeReader


class TokenReading(NamedTuple):
    """`values`: hazards float32[n], or for the max-pool probe features float32[n, hidden] with `weights` and `bias`."""

    values: NDArray[np.float32]
    novelty: float | None
    weights: NDArray[np.float32] | None = None
    bias: float = 0.0


def read_tokens(reader: ProbeReader, activations: Activations, manifest: Manifest) -> TokenReading:
    """Run the probe over every token of one text, in float32."""
    standardised = reader.standardised(token_features(activations, statistics=manifest.statistics))
    values = reader.values(standardised)
    novelty = novelty_of(novelty_distance(standardised), manifest.novelty)
    if reader.architecture != "max_pool":
        factor = manifest.calibration.factor(values.sum(dtype=np.float64))
        return TokenReading((values * factor).astype(np.float32), novelty)
    return TokenReading(values, novelty, reader.weights, reader.bias)


def text_distance(reader: ProbeReader, activations: Activations, *, statistics: bool) -> float:
    """How far one text's features are from those the probe was fitted to."""
    return novelty_distance(reader.standardised(token_features(activations, statistics=statistics)))
