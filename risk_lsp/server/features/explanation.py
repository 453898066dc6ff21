"""`riskLsp.explain`: the tokens behind a number, and what the model expected in their place."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from lsprotocol import types

from risk_lsp.risk.presentation import percent
from risk_lsp.server.features.hover import MARKDOWN, PLAIN_TEXT, Markup
from risk_lsp.server.wire.convert import asked_span
from risk_lsp.text.document import Document

if TYPE_CHECKING:
    from risk_lsp.repair.worker_model import Explanation, TokenReason
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
        from risk_lsp.repair.worker_model import WorkerModel
        from risk_lsp.repair.worker_model import explain as ask_why

        found = await ask_why(WorkerModel(state.host.ask), document.text, document.language_id, span)
        if "explanation" not in state.client.offers:
            session.messenger.tell(types.MessageType.Info, f"risk-lsp: {written(found, document, PLAIN_TEXT)}")
        return {"markdown": written(found, document, MARKDOWN)}

    return explained()


def written(explanation: Explanation, document: Document, markup: Markup) -> str:
    """The explanation for people: one sentence, and a line for each token, the weightiest first."""
    number = markup.bold(percent(explanation.probability))
    if not explanation.tokens:
        return f"{number} likely to need an edit"
    lines = [_token(reason, document, markup) for reason in explanation.tokens]
    return "\n".join([f"{number} likely to need an edit. The tokens that carry most of it:", "", *lines])


def _token(reason: TokenReason, document: Document, markup: Markup) -> str:
    line = document.lines.line_of(reason.span.start) + 1
    words = f"- {_code(reason.text, markup)} in line {line}: {percent(reason.probability)}"
    if reason.seen is not None:
        words += f"; the model gave it {percent(reason.seen)}"
    if reason.expected:
        others = ", ".join(f"{_code(text, markup)} ({percent(share)})" for text, share in reason.expected)
        words += f" and expected {others}" if reason.seen is not None else f"; the model expected {others}"
    return words


def _code(text: str, markup: Markup) -> str:
    """A token as people see it: without the space before it, and its line breaks made visible."""
    shown = text.strip(" ") or repr(text)
    shown = shown.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
    return markup.code(shown if len(shown) <= _LONGEST_TOKEN else shown[: _LONGEST_TOKEN - 1] + "…")
