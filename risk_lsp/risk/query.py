"""One span of one file, in words."""

from __future__ import annotations

from pathlib import Path

from risk_lsp.risk.percent import percent
from risk_lsp.risk.reference import ReferenceTable
from risk_lsp.risk.span_argument import parse_span
from risk_lsp.risk.span_risk import Scorer
from risk_lsp.risk.terminal_text import printable
from risk_lsp.risk.views import document_risk, driving_words
from risk_lsp.text.languages import language_of
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.reading import read_source
from risk_lsp.text.spans import Span, stripped_line_spans


def describe_span(engine: Scorer, path: Path, argument: str, reference: ReferenceTable) -> str:
    """What is known of a span: where it is, its probability, what drives it, and what such a number has meant.

    The last is said of whole lines only, since held-out lines are what was counted. Raises BadInput for a file that
    cannot be read or a span that it does not have.
    """
    text = read_source(path)
    span = parse_span(argument, text)
    risk = engine.score(text, language_of(path))
    probability = risk.probability(span.start, span.end)
    rows = [f"{printable(str(path))} {_place(text, span)}: {percent(probability)} likely to need an edit"]
    words = driving_words(risk, text, span)
    if words:
        rows.append("  most of it from " + " ".join(f"`{printable(text[word.start : word.end])}`" for word in words))
    meaning = reference.sentence(probability) if span in stripped_line_spans(text) else None
    if meaning and span.start < span.end:
        rows.append(f"  {meaning}")
    rows.append(f"  the whole file: {percent(document_risk(risk))}")
    return "\n".join(rows) + "\n"


def _place(text: str, span: Span) -> str:
    lines = LineIndex(text)

    def position(offset: int) -> str:
        line = lines.line_of(offset)
        return f"{line + 1}:{offset - lines.start(line) + 1}"

    return f"{position(span.start)}-{position(span.end)} (characters {span.start}-{span.end})"
