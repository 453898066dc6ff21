"""From the arrays that another process sent back to a map of risks."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from risk_lsp.errors import WorkerError
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.span_risk import SpanRisk


def risk_from_arrays(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> SpanRisk:
    """The map that wrote these with its to_arrays. Raises WorkerError if no map of this version did."""
    kind = header.get("kind")
    if kind != RiskMap.KIND:
        raise WorkerError(f"risks of unknown kind {kind!r}", "the two processes run different versions; restart them")
    try:
        return RiskMap.from_arrays(header, arrays)
    except (KeyError, TypeError) as error:
        raise WorkerError(
            f"risks of kind {kind!r} lack a part: {error}", "the two processes run different versions; restart them"
        ) from error
