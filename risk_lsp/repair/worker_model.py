"""What a repair asks of the hosted model, and the explanation of a probability by its tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.text.document import Span
from risk_lsp.worker.process import ScoredArrays

_TEXTS_AT_ONCE = 32  # what waits behind a request, such as a keystroke's analysis, waits for so many texts


class Filling(NamedTuple):
    """A text that the model would write in a span's place, and its log-probability in nats."""

    text: str
    log_probability: float


class TokenAlternatives(NamedTuple):
    """A token of the text, the probability that the model gave it, and the tokens it expected there with their own."""

    span: Span
    probability: float
    expected: tuple[tuple[str, float], ...]


class WorkerModel:
    """The model that the worker hosts; `ask` is the supervisor's method of that name.

    All methods raise WorkerError if the worker goes away, and can be cancelled.
    """

    def __init__(self, ask: Callable[[str, dict[str, Any]], Awaitable[ScoredArrays]]) -> None:
        self._ask = ask

    async def risks(self, texts: Sequence[str], language_id: str) -> list[SpanRisk]:
        """The risks of each text, some texts at a time."""
        found: list[SpanRisk] = []
        for first in range(0, len(texts), _TEXTS_AT_ONCE):
            part = list(texts[first : first + _TEXTS_AT_ONCE])
            reply = await self._ask("risks", {"texts": part, "language_id": language_id})
            for number, header in enumerate(reply.header["risks"]):
                prefix = f"{number}."
                own = {
                    name.removeprefix(prefix): array for name, array in reply.arrays.items() if name.startswith(prefix)
                }
                found.append(RiskMap.from_arrays(header, own))
        return found

    async def infills(self, text: str, spans: Sequence[Span], *, count: int, max_tokens: int) -> list[list[Filling]]:
        """For each span, up to `count` texts in its place; none from a model that cannot fill in. Asks span by span."""
        found: list[list[Filling]] = []
        for span in spans:
            asked = {"text": text, "spans": [list(span)], "count": count, "max_tokens": max_tokens}
            reply = await self._ask("infill", asked)
            found += [[Filling(str(fill), float(nats)) for fill, nats in fills] for fills in reply.header["infills"]]
        return found

    async def alternatives(self, text: str, language_id: str, span: Span, top: int) -> list[TokenAlternatives]:
        """The tokens of a span, each with the `top` likeliest tokens in its place."""
        asked = {"text": text, "language_id": language_id, "span": list(span), "top": top}
        reply = await self._ask("alternatives", asked)
        return [
            TokenAlternatives(Span(start, end), probability, tuple((word, share) for word, share in expected))
            for start, end, probability, expected in reply.header["alternatives"]
        ]

    async def preferences(self, text: str, variants: Sequence[str]) -> NDArray[np.float64]:
        """For each variant, log p(its first token that differs) - log p(the text's token there) in nats,
        float64[variants].
        """
        reply = await self._ask("preferences", {"text": text, "variants": list(variants)})
        return np.asarray(reply.arrays.get("preferences", np.zeros(len(variants))), dtype=np.float64)


_TOKENS = 5
_EXPECTED = 3


@dataclass(frozen=True)
class TokenReason:
    """A token behind a number.

    probability: that the token has to be edited. share: of the sum of the probabilities of the span's tokens. seen: the
    probability that the model gave the token after what stands before it; None if it does not say. expected: what the
    model expected instead, with the probability of each.
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


async def explain(model: WorkerModel, text: str, language_id: str, span: Span) -> Explanation:
    """Explain the number of a span. Raises as the model does."""
    (risk,) = await model.risks([text], language_id)
    expected = {each.span: each for each in await model.alternatives(text, language_id, span, _EXPECTED + 1)}
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
            others = () if found is None else tuple(each for each in found.expected if each[0].strip() != word.strip())
            seen = None if found is None else found.probability
            reasons.append(TokenReason(token, word, probability, probability / total, seen, others[:_EXPECTED]))
        if len(reasons) == _TOKENS:
            break
    return tuple(reasons)
