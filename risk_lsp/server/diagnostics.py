"""The lines most worth reading, as diagnostics."""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from risk_lsp.risk.percent import percent
from risk_lsp.risk.views import driving_tokens, line_risks, riskiest_lines
from risk_lsp.server.analysis import Analysis
from risk_lsp.server.convert import range_of
from risk_lsp.settings import Settings
from risk_lsp.text.positions import PositionEncoding
from risk_lsp.text.spans import Span, stripped_line_spans

SOURCE = "risk-lsp"
CODE = "likely-edit"


def diagnostics_of(analysis: Analysis, settings: Settings, encoding: PositionEncoding) -> list[types.Diagnostic]:
    """One hint per line at or above the threshold, the `max_diagnostics` likeliest, in the order of the text."""
    probabilities = line_risks(analysis.risks, analysis.document)
    lines = riskiest_lines(probabilities, settings.max_diagnostics, settings.threshold)
    spans = stripped_line_spans(analysis.document)
    return [_diagnostic(analysis, spans[line], float(probabilities[line]), encoding) for line in sorted(lines)]


def driving_spans(analysis: Analysis, span: Span, top: int = 3) -> list[Span]:
    """The tokens that carry most of a span's risk, without the white space that tokens begin with."""
    stripped = (_without_space(analysis.document.text, token) for token in driving_tokens(analysis.risks, span, top))
    return [token for token in stripped if token.start < token.end]


def _diagnostic(analysis: Analysis, span: Span, probability: float, encoding: PositionEncoding) -> types.Diagnostic:
    return types.Diagnostic(
        range=range_of(analysis.document, span, encoding),
        severity=types.DiagnosticSeverity.Hint,
        source=SOURCE,
        code=CODE,
        message=f"{percent(probability)} likely to need an edit",
        data=_data(analysis, span, probability, encoding),
    )


def _data(analysis: Analysis, span: Span, probability: float, encoding: PositionEncoding) -> dict[str, Any]:
    """For clients that show more: offsets are in code points, tokens are ranges as the client counts them."""
    tokens = [range_of(analysis.document, token, encoding) for token in driving_spans(analysis, span)]
    return {
        "probability": round(probability, 4),
        "start": span.start,
        "end": span.end,
        "tokens": [
            {
                "start": {"line": token.start.line, "character": token.start.character},
                "end": {"line": token.end.line, "character": token.end.character},
            }
            for token in tokens
        ],
    }


def _without_space(text: str, span: Span) -> Span:
    piece = text[span.start : span.end]
    start = span.start + len(piece) - len(piece.lstrip())
    return Span(start, max(start, span.start + len(piece.rstrip())))
