"""A model behind an endpoint that speaks OpenAI's chat protocol, for repairs: streamed, cancellable, counted."""

from __future__ import annotations

from collections.abc import Callable

from openai import APIStatusError, APITimeoutError

from risk_lsp.patches.endpoint import AsyncEndpoint, EndpointError, EndpointOptions
from risk_lsp.repair.chat import ChatReply, ChatRequest
from risk_lsp.repair.request import RepairError


class EndpointChat:
    """A Chat. Raises RepairError at once where there is neither a key nor a server's address."""

    def __init__(self, options: EndpointOptions) -> None:
        self.name = options.model
        try:
            self._endpoint = AsyncEndpoint(options)
        except EndpointError as error:
            raise RepairError(error.message, error.hint) from error

    async def complete(self, request: ChatRequest, on_text: Callable[[str], None] | None = None) -> ChatReply:
        """One answer, streamed. Closing the task closes the connection."""
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        try:
            completion = await self._endpoint.stream(
                messages, temperature=request.temperature, max_tokens=request.max_tokens, on_text=on_text
            )
        except EndpointError as error:
            raise RepairError(error.message, _way_out(error)) from error
        return ChatReply(completion.text, completion.prompt_tokens, completion.completion_tokens)

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()


def _way_out(error: EndpointError) -> str:
    """What to do next, where a repair has no option for it or the person is not at fault."""
    cause = error.__cause__
    if isinstance(cause, APITimeoutError):
        return "is it busy, or still loading the model? ask again, or use a quicker model"
    if isinstance(cause, APIStatusError) and (cause.status_code == 429 or cause.status_code >= 500):
        return "ask again later, or use another endpoint"
    if isinstance(cause, APIStatusError) and cause.status_code in (401, 403):
        return "give the endpoint's key in OPENAI_API_KEY, or in VS Code by Risk: Set the Key of the Repair Endpoint..."
    return error.hint
