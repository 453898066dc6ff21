"""A model behind an endpoint that speaks OpenAI's chat protocol, for repairs: streamed, cancellable, counted."""

from __future__ import annotations

from collections.abc import Callable

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
            raise RepairError(error.message, error.hint) from error
        return ChatReply(completion.text, completion.prompt_tokens, completion.completion_tokens)

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()
