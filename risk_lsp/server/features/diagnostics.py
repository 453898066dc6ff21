"""The lines most worth reading, as diagnostics."""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from risk_lsp.risk.placed_risk import PlacedRisk, Standing
from risk_lsp.risk.presentation import driving_words
from risk_lsp.server.documents.line_view import LineView
from risk_lsp.server.wire.convert import range_of
from risk_lsp.text.document import Part, PositionEncoding, Span, stripped_line_span

SOURCE = "risk-lsp"
CODE = "likely-edit"


def diagnostics_of(view: LineView, part: Part, encoding: PositionEncoding) -> list[types.Diagnostic]:
    """One hint per line of the part worth showing, in the order of the text; the part is one of the view's snapshot."""
    shown = [(line, stripped_line_span(view.analysis.document, line)) for line in view.shown if line in part.lines]
    return [_diagnostic(view, part, line, span, encoding) for line, span in shown]


def driving_spans(here: PlacedRisk, span: Span) -> list[Span]:
    """The tokens that carry most of a span's risk, without the white space that tokens begin with."""
    return driving_words(here.risks, here.lines.text, span)


def _diagnostic(view: LineView, part: Part, line: int, span: Span, encoding: PositionEncoding) -> types.Diagnostic:
    probability, standing = float(view.numbers[line]), view.standing(line)
    return types.Diagnostic(
        range=range_of(part, span, encoding),
        severity=types.DiagnosticSeverity.Hint,
        source=SOURCE,
        code=CODE,
        message=standing.sentence(probability),
        data={**_data(view.placed, part, span, probability, encoding), **_said_of(standing)},
    )


def _said_of(standing: Standing) -> dict[str, Any]:
    """The standing without the rank of a percentage, which changes with every line that is added elsewhere."""
    return {name: value for name, value in standing.to_json().items() if standing.why or name not in ("rank", "of")}


def _data(here: PlacedRisk, part: Part, span: Span, probability: float, encoding: PositionEncoding) -> dict[str, Any]:
    """For clients that show more: offsets are in code points, tokens are ranges as the client counts them."""
    tokens = [range_of(part, token, encoding) for token in driving_spans(here, span)]
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
