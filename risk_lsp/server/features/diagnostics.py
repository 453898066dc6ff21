"""The lines most worth reading, as diagnostics."""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from risk_lsp.risk.presentation import percent
from risk_lsp.risk.views import driving_words
from risk_lsp.server.documents.analysis import Analysis
from risk_lsp.server.documents.line_view import LineView
from risk_lsp.server.wire.convert import range_of
from risk_lsp.text.document import Part
from risk_lsp.text.positions import PositionEncoding
from risk_lsp.text.spans import Span, stripped_line_span

SOURCE = "risk-lsp"
CODE = "likely-edit"


def diagnostics_of(view: LineView, part: Part, encoding: PositionEncoding) -> list[types.Diagnostic]:
    """One hint per line of the part worth showing, in the order of the text; the part is one of the view's snapshot."""
    shown = [(line, stripped_line_span(view.analysis.document, line)) for line in view.shown if line in part.lines]
    return [_diagnostic(view.analysis, part, span, float(view.numbers[line]), encoding) for line, span in shown]


def driving_spans(analysis: Analysis, span: Span) -> list[Span]:
    """The tokens that carry most of a span's risk, without the white space that tokens begin with."""
    return driving_words(analysis.risks, analysis.document.text, span)


def _diagnostic(
    analysis: Analysis, part: Part, span: Span, probability: float, encoding: PositionEncoding
) -> types.Diagnostic:
    return types.Diagnostic(
        range=range_of(part, span, encoding),
        severity=types.DiagnosticSeverity.Hint,
        source=SOURCE,
        code=CODE,
        message=f"{percent(probability)} likely to need an edit",
        data=_data(analysis, part, span, probability, encoding),
    )


def _data(analysis: Analysis, part: Part, span: Span, probability: float, encoding: PositionEncoding) -> dict[str, Any]:
    """For clients that show more: offsets are in code points, tokens are ranges as the client counts them."""
    tokens = [range_of(part, token, encoding) for token in driving_spans(analysis, span)]
    return {
        "probability": round(probability, 4),
        "start": span.start - part.start,
        "end": span.end - part.start,
        "tokens": [
            {
                "start": {"line": token.start.line, "character": token.start.character},
                "end": {"line": token.end.line, "character": token.end.character},
            }
            for token in tokens
        ],
    }
