"""The probe at work on one text's activations: hazards for the RiskMap, and how unlike the calibration texts it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BundleError
from risk_lsp.model.activations import Activations, Encoding
from risk_lsp.probe.features import LAYOUT, TokenLayout, sections, token_features, token_layout
from risk_lsp.probe.manifest import Manifest
from risk_lsp.probe.reader import ProbeReader, uses_layout
from risk_lsp.text.document import Span

_QUANTILES = 101


def novelty_distance(standardised: NDArray[np.float32]) -> float:
    """Root mean square of the text's mean standardised features: 0 for a text that is average in every feature."""
    return float(np.sqrt(np.mean(np.square(standardised.mean(axis=0))))) if len(standardised) else 0.0


def novelty_table(distances: list[float]) -> dict[str, Any]:
    """What the manifest keeps: the quantiles of the calibration texts' distances, 0% to 100%."""
    return {"quantiles": np.quantile(distances, np.linspace(0, 1, _QUANTILES)).round(6).tolist()} if distances else {}


def novelty_of(distance: float, table: dict[str, Any]) -> float | None:
    """The share of calibration texts that are more like the average than this text, in [0, 1]; None without a table."""
    quantiles = table.get("quantiles")
    if quantiles is None:
        return None
    try:
        known = np.asarray(quantiles, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        known = np.zeros(0)
    if known.shape != (_QUANTILES,) or not np.isfinite(known).all() or (np.diff(known) < 0).any():
        raise BundleError("manifest: novelty has no rising list of 101 quantiles", "fit the probe again")
    return float(np.interp(distance, known, np.linspace(0, 1, _QUANTILES)))


_TOKENS_AT_ONCE = 2_048  # by each thread; bounds what is held of a long text


class TokenReading(NamedTuple):
    """`values`: hazards float32[n]; `novelty`: None where the bundle has no table of it."""

    values: NDArray[np.float32]
    novelty: float | None


def read_tokens(
    reader: ProbeReader,
    text: str,
    activations: Activations,
    manifest: Manifest,
    whole: Encoding | None = None,
    parts_of: Callable[[str], list[Span]] = sections,
) -> TokenReading:
    """Run the probe over the tokens of one text (all, or those of its encoding `whole` that are known), in float32.

    The parts of the text, `parts_of` it, are read each by itself.
    """
    encoding = activations.encoding

    def read(parts: Sequence[Span]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Values of the tokens of these parts, and the sum of their features."""
        standardised, layout = _standardised(reader, text, parts, activations, statistics=manifest.statistics)
        found = reader.hazards(standardised, layout)
        totals = np.bincount(layout.part, found, len(parts)).astype(np.float64)
        if whole is not None:  # the tokens that are not known are taken to be like those that are
            known = np.bincount(layout.part, minlength=len(parts))
            totals = totals * (_token_counts(parts, whole) / np.maximum(known, 1))
        values = (found * manifest.calibration.factor(totals)[layout.part]).astype(np.float32)
        return values, standardised[:, _layout_width(reader) :].sum(axis=0, dtype=np.float64)

    results = reader.threads.map_alone(read, list(_together(parts_of(text), encoding)))
    means = np.sum([sums for _, sums in results], axis=0) / max(1, len(encoding))
    novelty = novelty_of(novelty_distance(means[None].astype(np.float32)), manifest.novelty)
    return TokenReading(np.concatenate([values for values, _ in results]), novelty)


def text_distance(reader: ProbeReader, text: str, activations: Activations, *, statistics: bool) -> float:
    """The novelty distance of one text: how far its features are from those that the probe was fitted to."""
    standardised, _ = _standardised(reader, text, sections(text), activations, statistics=statistics)
    return novelty_distance(standardised[:, _layout_width(reader) :])


def _together(parts: Sequence[Span], encoding: Encoding) -> Iterator[Sequence[Span]]:
    """Parts that are read at once: as many as bound what is held in memory, or one that has more tokens."""
    ends = np.cumsum(_token_counts(parts, encoding))
    first, before = 0, 0
    while first < len(parts):
        last = max(first + 1, int(np.searchsorted(ends, before + _TOKENS_AT_ONCE, side="right")))
        yield parts[first:last]
        first, before = last, int(ends[last - 1])


def _token_counts(parts: Sequence[Span], encoding: Encoding) -> NDArray[np.int64]:
    """How many tokens begin in each part."""
    bounds = [part.start for part in parts] + [parts[-1].end]
    return np.diff(np.searchsorted(encoding.starts, bounds))


def _tokens_of(parts: Sequence[Span], encoding: Encoding) -> slice:
    """The tokens that begin in neighbouring parts of the text."""
    return slice(*np.searchsorted(encoding.starts, (parts[0].start, parts[-1].end)).tolist())


def _layout_width(reader: ProbeReader) -> int:
    return LAYOUT if uses_layout(reader.architecture) else 0


def _standardised(
    reader: ProbeReader, text: str, parts: Sequence[Span], activations: Activations, *, statistics: bool
) -> tuple[NDArray[np.float32], TokenLayout]:
    """Standardised features of the tokens of neighbouring parts of a text, and where the tokens stand in these."""
    encoding = activations.encoding
    inside, start, end = _tokens_of(parts, encoding), parts[0].start, parts[-1].end
    moved = [Span(part.start - start, part.end - start) for part in parts]
    layout = token_layout(text[start:end], encoding.starts[inside] - start, encoding.ends[inside] - start, moved)
    columns = [layout.columns] if uses_layout(reader.architecture) else []
    features = token_features(activations, statistics=statistics, tokens=inside, before=columns)
    return reader.standardised(features), layout
