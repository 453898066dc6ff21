"""How unlike the calibration texts a text is, from the features its tokens have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BundleError

_QUANTILES = 101


def novelty_distance(standardised: NDArray[np.float32]) -> float:
    """Root mean square of the text's mean standardised features: 0 for a text that is average in every feature."""
    return float(np.sqrt(np.mean(np.square(standardised.mean(axis=0))))) if len(standardised) else 0.0


def novelty_table(distances: list[float]) -> dict[str, Any]:
    """What the manifest keeps: the quantiles of the calibration texts' distances, 0% to 100%."""
    return {"quantiles": np.quantile(distances, np.linspace(0, 1, _QUANTILES)).round(6).tolist()} if distances else {}


def novelty_of(distance: float, table: dict[str, Any]) -> float | None:
    """Share of the calibration texts that were less unlike the rest than this one, in [0, 1]; None without a table."""
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
