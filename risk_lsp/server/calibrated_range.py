"""Whether a document is like those that the probabilities were measured on."""

from __future__ import annotations

from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.text.document import Document

LANGUAGE = "python"
LONGEST = 1_000  # lines; held-out programs have some dozens
UNLIKE_ALL = 0.99  # of the held-out programs, this share was less unusual to the model


def reason_outside(document: Document, risks: SpanRisk) -> str | None:
    """Why the numbers may not hold for this document, as one clause for people; None if nothing speaks against them."""
    if document.language_id != LANGUAGE:
        return f"the numbers were measured on Python programs, and this document's language is {document.language_id}"
    if document.lines.count > LONGEST:
        return (
            f"the numbers were measured on short programs, and this document has {document.lines.count:,} lines,"
            f" more than {LONGEST:,}"
        )
    if risks.novelty is not None and risks.novelty >= UNLIKE_ALL:
        return "this document is unlike the programs that the numbers were measured on"
    return None
