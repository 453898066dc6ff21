"""The requests `riskLsp/query` (ranges to probabilities) and `riskLsp/lines` (a document's lines to probabilities)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from risk_lsp.server.documents.analysis import Analysis
from risk_lsp.server.documents.line_view import LineView
from risk_lsp.server.wire.convert import position_of, span_of
from risk_lsp.text.document import Part
from risk_lsp.text.positions import PositionEncoding
from risk_lsp.text.spans import Span

QUERY = "riskLsp/query"
LINES = "riskLsp/lines"


def uri_of(params: object) -> str:
    """The request's `uri`. Raises JsonRpcInvalidParams."""
    uri = params.get("uri") if isinstance(params, Mapping) else None
    if not isinstance(uri, str):
        raise JsonRpcInvalidParams("params need a uri, a string: the document's URI")
    return uri


def spans_of(params: Mapping[str, Any], part: Part, encoding: PositionEncoding) -> list[Span]:
    """The request's `ranges` as offsets into the part's document. Raises JsonRpcInvalidParams."""
    ranges = params.get("ranges")
    if not isinstance(ranges, list):
        raise JsonRpcInvalidParams("params need ranges, a list of LSP ranges")
    return [span_of(part, _range(value, place), encoding) for place, value in enumerate(ranges)]


def query_answer(analysis: Analysis, part: Part, spans: list[Span]) -> dict[str, Any]:
    """{"version", "probabilities": one per range, in order}."""
    probabilities = analysis.risks.probabilities([span.start for span in spans], [span.end for span in spans])
    return {"version": part.version, "probabilities": probabilities.tolist()}


def lines_answer(view: LineView, part: Part) -> dict[str, Any]:
    """{"version", "lines": one probability per line or null, "steps": for a heat map, "outside": None or why}."""
    probabilities, lines = view.probabilities.tolist(), slice(part.lines.start, part.lines.stop)
    return {
        "version": part.version,
        "lines": [None if value != value else value for value in probabilities[lines]],
        "steps": list(view.steps[lines]),
        "outside": view.outside,
    }


def _range(value: object, place: int) -> types.Range:
    start, end = (value.get("start"), value.get("end")) if isinstance(value, Mapping) else (None, None)
    return types.Range(_position(start, f"ranges[{place}].start"), _position(end, f"ranges[{place}].end"))


def _position(value: object, name: str) -> types.Position:
    position = position_of(value)
    if position is None:
        raise JsonRpcInvalidParams(f"{name}: expected line and character, whole numbers from 0")
    return position
