"""The probe at work on one text's activations: numbers for the RiskMap."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.model.activations import Activations
from risk_lsp.probe.features import token_features
from risk_lsp.probe.layout import LAYOUT, Layout, token_layout
from risk_lsp.probe.manifest import Manifest
from risk_lsp.probe.novelty import novelty_distance, novelty_of
from risk_lsp.probe.reader import ProbeReader, uses_layout


class TokenReading(NamedTuple):
    """`values`: hazards float32[n], or for the max-pool probe features float32[n, hidden] with `weights` and `bias`."""

    values: NDArray[np.float32]
    novelty: float | None
    weights: NDArray[np.float32] | None = None
    bias: float = 0.0


def read_tokens(reader: ProbeReader, text: str, activations: Activations, manifest: Manifest) -> TokenReading:
    """Run the probe over the tokens of one text (all, or those that are known), in float32."""
    standardised, layout = _read(reader, text, activations, statistics=manifest.statistics)
    values = reader.values(standardised, layout)
    novelty = novelty_of(_distance(standardised, layout), manifest.novelty)
    if reader.architecture != "max_pool":
        factor = manifest.calibration.factor(values.sum(dtype=np.float64))
        return TokenReading((values * factor).astype(np.float32), novelty)
    return TokenReading(values, novelty, reader.weights, reader.bias)


def text_distance(reader: ProbeReader, text: str, activations: Activations, *, statistics: bool) -> float:
    """How far what the model makes of one text is from what the probe was fitted to."""
    return _distance(*_read(reader, text, activations, statistics=statistics))


def _read(
    reader: ProbeReader, text: str, activations: Activations, *, statistics: bool
) -> tuple[NDArray[np.float32], Layout | None]:
    features = token_features(activations, statistics=statistics)
    if not uses_layout(reader.architecture):
        return reader.standardised(features), None
    layout = token_layout(text, activations.encoding.starts, activations.encoding.ends)
    return reader.standardised(np.concatenate([layout.columns, features], axis=1)), layout


def _distance(standardised: NDArray[np.float32], layout: Layout | None) -> float:
    return novelty_distance(standardised if layout is None else standardised[:, LAYOUT:])
