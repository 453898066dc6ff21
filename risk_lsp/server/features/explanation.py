"""`riskLsp.explain`: the tokens behind a number, and what the model expected in their place."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING

from lsprotocol import types

from risk_lsp.risk.placed_risk import PlacedRisk, Standing
from risk_lsp.risk.presentation import percent
from risk_lsp.server.features.hover import MARKDOWN, PLAIN_TEXT, Markup
from risk_lsp.server.wire.convert import asked_span
from risk_lsp.text.document import Document

if TYPE_CHECKING:
    from risk_lsp.repair.model_questions import Explanation, TokenReason
    from risk_lsp.server.session import Session

_LONGEST_TOKEN = 40


def explain(session: Session, uri: str, place: types.Range) -> Awaitable[dict[str, str]]:
    """Answer {markdown}; also shown as a message where the client would show nothing itself."""
    state = session.state
    part = session.questions.part_of(uri)
    document = part.document
    session.questions.require_scored(document)
    span = asked_span(part, place, state.encoding)

    async def explained() -> dict[str, str]:
        from risk_lsp.repair.model_questions import WorkerModel
        from risk_lsp.repair.model_questions import explain as ask_why

        view = session.questions.view(await session.questions.analysis_of(document))
        found = await ask_why(WorkerModel(state.host.ask), document.text, document.language_id, span)
        found, standing = _in_place(found, view.placed), view.placed.of_span(span, view.ranks)
        if "explanation" not in state.client.offers:
            session.messenger.tell(
                types.MessageType.Info, f"risk-lsp: {written(found, standing, document, PLAIN_TEXT)}"
            )
        return {"markdown": written(found, standing, document, MARKDOWN)}

    return explained()


def _in_place(found: Explanation, here: PlacedRisk) -> Explanation:
    """The explanation with the numbers of the places that its tokens are in."""
    tokens = tuple(replace(reason, probability=here.risks.probability(*reason.span)) for reason in found.tokens)
    return replace(found, probability=here.risks.probability(*found.span), tokens=tokens)


def written(explanation: Explanation, standing: Standing, document: Document, markup: Markup) -> str:
    """The explanation for people: one sentence, and a line for each token, the weightiest first."""
    number = standing.short(explanation.probability)
    sentence = markup.bold(number) + standing.sentence(explanation.probability).removeprefix(number)
    if not explanation.tokens:
        return sentence
    is_percent = standing.gives == "percent"
    lines = [_token(reason, document, markup, is_percent=is_percent) for reason in explanation.tokens]
    return "\n".join([f"{sentence}. The tokens that carry most of it:", "", *lines])


def _token(reason: TokenReason, document: Document, markup: Markup, *, is_percent: bool) -> str:
    line = document.lines.line_of(reason.span.start) + 1
    parts = [percent(reason.probability)] if is_percent else []
    model = [] if reason.seen is None else [f"gave it {percent(reason.seen)}"]
    if reason.expected:
        others = ", ".join(f"{_code(text, markup)} ({percent(share)})" for text, share in reason.expected)
        model.append(f"expected {others}")
    parts += [f"the model {' and '.join(model)}"] if model else []
    return f"- {_code(reason.text, markup)} in line {line}" + (f": {'; '.join(parts)}" if parts else "")


def _code(text: str, markup: Markup) -> str:
    """A token as people see it: without the space before it, and its line breaks made visible."""
    shown = text.strip(" ") or repr(text)
    shown = shown.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
    return markup.code(shown if len(shown) <= _LONGEST_TOKEN else shown[: _LONGEST_TOKEN - 1] + "…")
