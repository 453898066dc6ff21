"""The lines most worth reading, as diagnostics."""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from risk_lsp.risk.percent import percent
from risk_lsp.risk.views import driving_words
from risk_lsp.server.analysis import Analysis
from risk_lsp.server.convert import range_of
from risk_lsp.server.line_view import LineView
from risk_lsp.text.positions import PositionEncoding
from risk_lsp.text.spans import Span, stripped_line_spans

SOURCE = "risk-lsp"
CODE = "likely-edit"


def diagnostics_of(view: LineView, encoding: PositionEncoding) -> list[types.Diagnostic]:
    """One hint per line worth showing, in the order of the text."""
    spans = stripped_line_spans(view.analysis.document) if view.shown else []
    return [_diagnostic(view.analysis, spans[line], float(view.numbers[line]), encoding) for line in view.shown]


def driving_spans(analysis: Analysis, span: Span) -> list[Span]:
    """The tokens that carry most of a span's risk, without the white space that tokens begin with."""
    return driving_words(analysis.risks, analysis.document.text, span)


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
