"""Why a number is what it is: the tokens that carry most of it, and what the model expected in their place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from risk_lsp.repair.worker_model import RiskModel, TokenAlternatives
from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.text.spans import Span

_TOKENS = 5
_EXPECTED = 3


@dataclass(frozen=True)
class TokenReason:
    """A token behind a number.

    probability: that it has to be edited. share: of all the probability that the tokens of the span have by themselves.
    seen: what the model gave this token, from what stands in front of it; None if it does not say. expected: what it
    would rather have written, with the probability of each.
    """

    span: Span
    text: str
    probability: float
    share: float
    seen: float | None
    expected: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Explanation:
    """The probability of a span, and the tokens that carry most of it, the likeliest to be edited first."""

    span: Span
    probability: float
    tokens: tuple[TokenReason, ...]


async def explain(model: RiskModel, text: str, language_id: str, span: Span) -> Explanation:
    """Explain the number of a span. Raises as the model does."""
    (risk,) = await model.risks([text], language_id)
    expected = {each.span: each for each in await model.alternatives(text, span, _EXPECTED + 1)}
    return Explanation(span, risk.probability(span.start, span.end), _reasons(risk, text, span, expected))


def _reasons(risk: SpanRisk, text: str, span: Span, expected: dict[Span, TokenAlternatives]) -> tuple[TokenReason, ...]:
    inside = np.flatnonzero((risk.starts < span.end) & (risk.ends > span.start))
    probabilities = risk.token_probabilities(inside)
    total = float(probabilities.sum())
    reasons: list[TokenReason] = []
    for index in np.argsort(-probabilities, kind="stable"):
        token = Span(int(risk.starts[inside[index]]), int(risk.ends[inside[index]]))
        word = text[token.start : token.end]
        # A token of white space alone has no text to point at; tokens that share a character are named once.
        if word.strip() and total > 0 and all(reason.span != token for reason in reasons):
            probability = float(probabilities[index])
            found = expected.get(token)
            others = () if found is None else tuple(each for each in found.expected if each[0] != word)[:_EXPECTED]
            seen = None if found is None else found.probability
            reasons.append(TokenReason(token, word, probability, probability / total, seen, others))
        if len(reasons) == _TOKENS:
            break
    return tuple(reasons)
