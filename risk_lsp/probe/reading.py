"""The probe at work on one text's activations: numbers for the RiskMap."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.model.activations import Activations
from risk_lsp.model.encoding import Encoding
from risk_lsp.probe.features import token_features
from risk_lsp.probe.layout import LAYOUT, Layout, token_layout
from risk_lsp.probe.manifest import Manifest
from risk_lsp.probe.novelty import novelty_distance, novelty_of
from risk_lsp.probe.reader import ProbeReader, uses_layout
from risk_lsp.text.sections import sections
from risk_lsp.text.spans import Span


class TokenReading(NamedTuple):
    """`values`: hazards float32[n], or for the max-pool probe features float32[n, hidden] with `weights` and `bias`."""

    values: NDArray[np.float32]
    novelty: float | None
    weights: NDArray[np.float32] | None = None
    bias: float = 0.0


def read_tokens(
    reader: ProbeReader, text: str, activations: Activations, manifest: Manifest, whole: Encoding | None = None
) -> TokenReading:
    """Run the probe over the tokens of one text (all, or those of its encoding `whole` that are known), in float32.

    The parts of a long text are read each by itself.
    """
    features = token_features(activations, statistics=manifest.statistics)
    if reader.architecture == "max_pool":
        standardised = reader.standardised(features)
        novelty = novelty_of(novelty_distance(standardised), manifest.novelty)
        return TokenReading(reader.values(standardised), novelty, reader.weights, reader.bias)
    values = np.zeros(len(features), dtype=np.float32)
    learnt: list[NDArray[np.float32]] = []
    for part in sections(text):
        inside = _tokens_of(part, activations.encoding)
        standardised, layout = _read_part(reader, text, part, activations.encoding, features, inside)
        found = reader.values(standardised, layout)
        total = found.sum(dtype=np.float64)
        if whole is not None:  # the tokens that are not known are taken to be like those that are
            count = _tokens_of(part, whole)
            total *= (count.stop - count.start) / max(1, len(found))
        values[inside] = found * manifest.calibration.factor(total)
        learnt.append(standardised[:, _layout_width(reader) :])
    return TokenReading(values, novelty_of(novelty_distance(np.concatenate(learnt)), manifest.novelty))


def text_distance(reader: ProbeReader, text: str, activations: Activations, *, statistics: bool) -> float:
    """How far what the model makes of one text is from what the probe was fitted to."""
    features = token_features(activations, statistics=statistics)
    inside = slice(0, len(features))
    standardised, _ = _read_part(reader, text, Span(0, len(text)), activations.encoding, features, inside)
    return novelty_distance(standardised[:, _layout_width(reader) :])


def _tokens_of(part: Span, encoding: Encoding) -> slice:
    """The tokens that begin in a part of the text."""
    return slice(*np.searchsorted(encoding.starts, part).tolist())


def _layout_width(reader: ProbeReader) -> int:
    return LAYOUT if uses_layout(reader.architecture) else 0


def _read_part(
    reader: ProbeReader, text: str, part: Span, encoding: Encoding, features: NDArray[np.float32], inside: slice
) -> tuple[NDArray[np.float32], Layout | None]:
    """Standardised features of some tokens, and where these stand in the part of the text that they begin in."""
    if not uses_layout(reader.architecture):
        return reader.standardised(features[inside]), None
    starts, ends = encoding.starts[inside] - part.start, np.minimum(encoding.ends[inside], part.end) - part.start
    layout = token_layout(text[part.start : part.end], starts, ends)
    return reader.standardised(np.concatenate([layout.columns, features[inside]], axis=1)), layout
