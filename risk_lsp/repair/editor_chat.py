"""The editor's own language model, where it has one: asked through whoever is connected to the editor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from risk_lsp.repair.chat import ChatReply, ChatRequest
from risk_lsp.repair.request import RepairError

Ask = Callable[[dict[str, Any]], Awaitable[Any]]


class EditorChat:
    """A Chat. `ask` sends {"messages", "maxTokens", "temperature"} and gives {"text", ...} or {"error"}."""

    def __init__(self, ask: Ask, name: str = "the editor's model") -> None:
        self.name = name
        self._ask = ask

    async def complete(self, request: ChatRequest, on_text: Callable[[str], None] | None = None) -> ChatReply:
        """One answer, whole; cancelling it cancels `ask`."""
        asked = {
            "messages": [message._asdict() for message in request.messages],
            "maxTokens": request.max_tokens,
            "temperature": request.temperature,
        }
        answer = await self._ask(asked)
        if not isinstance(answer, dict):
            raise RepairError("the editor gave no answer", "choose another model in the editor, or another provider")
        if isinstance(answer.get("error"), str):
            raise RepairError(
                f"the editor's model refused: {answer['error']}", "sign in to it in the editor, or use another provider"
            )
        if not isinstance(answer.get("text"), str):
            raise RepairError("the editor's answer holds no text", "update the editor's extension")
        if on_text is not None:
            on_text(answer["text"])
        return ChatReply(answer["text"], _count(answer.get("promptTokens")), _count(answer.get("completionTokens")))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
