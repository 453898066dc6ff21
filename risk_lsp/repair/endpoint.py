"""Language models at endpoints that speak OpenAI's chat protocol, for repairs and for data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI, OpenAI, OpenAIError

from risk_lsp.errors import RepairError, RiskError
from risk_lsp.repair.chat import ChatReply, ChatRequest


class EndpointError(RiskError):
    """The endpoint cannot be reached, refuses, or answers with something else than a completion."""


class Completion(NamedTuple):
    """What the model wrote, and the tokens that it read and wrote; None where the endpoint does not say."""

    text: str
    prompt_tokens: int | None
    completion_tokens: int | None


@dataclass(frozen=True)
class EndpointOptions:
    """One model at one endpoint. base_url: None for OpenAI's own service. timeout: seconds without an answer."""

    model: str
    base_url: str | None = None
    key: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    retries: int = 2

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments of the client. EndpointError where OpenAI's own service is meant and there is no key."""
        if self.key is None and self.base_url is None:
            raise EndpointError("no key for the endpoint", "set OPENAI_API_KEY, or name a server with --base-url")
        return {
            "base_url": self.base_url,
            "api_key": self.key or "none",
            "timeout": self.timeout,
            "max_retries": self.retries,
        }


class Endpoint:
    """One model for programs that wait for the answer; several threads may ask at a time."""

    def __init__(self, options: EndpointOptions, *, max_tokens: int) -> None:
        self._model = options.model
        self._max_tokens = max_tokens
        self._client = OpenAI(**options.client_options())

    def complete(
        self, prompt: str, temperature: float, *, top_p: float = 1.0, stop: Sequence[str] = (), seed: int | None = None
    ) -> Completion:
        """One answer to a prompt. EndpointError if there is none; its message says why."""
        # Servers need not know them: what is left at its default is not sent.
        more: dict[str, Any] = {} if top_p == 1.0 else {"top_p": top_p}
        more |= {"stop": list(stop)} if stop else {}
        more |= {} if seed is None else {"seed": seed}
        with _explain_errors(self._client.base_url):
            answer = self._client.chat.completions.create(
                model=self._model,
                messages=[{"role": "user", "content": prompt}],
                temperature=temperature,
                max_tokens=self._max_tokens,
                **more,
            )
            text: Any = answer.choices[0].message.content if answer.choices else None
            usage = _usage(answer.usage)
        if not isinstance(text, str):
            raise _no_text(self._client.base_url)
        return Completion(text, *usage)


class AsyncEndpoint:
    """One model for an event loop: answers are streamed, and cancelling a request closes its connection."""

    def __init__(self, options: EndpointOptions) -> None:
        self._model = options.model
        self._client = AsyncOpenAI(**options.client_options())

    async def stream(
        self,
        messages: Iterable[dict[str, str]],
        *,
        temperature: float,
        max_tokens: int,
        on_text: Callable[[str], None] | None = None,
    ) -> Completion:
        """One answer; `on_text` gets its pieces as they come. EndpointError if there is none; its message says why."""
        pieces: list[str] = []
        usage: Any = None
        finished = False
        asked: Any = list(messages)
        with _explain_errors(self._client.base_url) as begins:
            stream = await self._client.chat.completions.create(
                model=self._model,
                messages=asked,
                temperature=temperature,
                max_tokens=max_tokens,
                stream=True,
                stream_options={"include_usage": True},
            )
            begins()
            async with stream:
                async for chunk in stream:
                    usage = getattr(chunk, "usage", None) or usage
                    for choice in getattr(chunk, "choices", None) or []:
                        finished = finished or choice.finish_reason is not None
                        piece = choice.delta.content if choice.delta else None
                        if isinstance(piece, str) and piece:
                            pieces.append(piece)
                            if on_text is not None:
                                on_text(piece)
        if not pieces:
            raise _no_text(self._client.base_url)
        if not finished:
            raise _broken_off(self._client.base_url)
        return Completion("".join(pieces), *_usage(usage))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


@contextmanager
def _explain_errors(base_url: Any) -> Iterator[Callable[[], None]]:
    """Turns what the client raises into an EndpointError with a way out.

    It gives a function to call once an answer begins: a connection that is lost later is no missing server.
    """
    has_begun = False

    def begins() -> None:
        nonlocal has_begun
        has_begun = True

    try:
        yield begins
    except APITimeoutError as error:
        raise EndpointError(
            f"{base_url} did not answer in time", "is it busy? allow more time with --timeout"
        ) from error
    except APIConnectionError as error:
        if has_begun:
            raise _broken_off(base_url) from error
        raise EndpointError(f"no answer from {base_url}: {error}", "is the server running?") from error
    except APIStatusError as error:
        raise EndpointError(
            f"{base_url} refused: {error.status_code} {error.message}", "check the model's name and the key"
        ) from error
    except OpenAIError as error:
        raise EndpointError(f"{base_url}: {error}", "does it speak the chat protocol?") from error
    except Exception as error:
        # While an answer streams, errors of the transport and of reading what came are not the client's own.
        raise EndpointError(
            f"the answer of {base_url} broke off or cannot be read ({type(error).__name__})",
            "is the server still running, and does it speak the chat protocol?",
        ) from error


def _broken_off(base_url: Any) -> EndpointError:
    return EndpointError(f"the answer of {base_url} broke off", "is the server still running?")


def _no_text(base_url: Any) -> EndpointError:
    return EndpointError(f"{base_url} answered without a text", "does it speak the chat protocol?")


def _usage(usage: Any) -> tuple[int | None, int | None]:
    counts = (getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None))
    prompt, completion = (count if type(count) is int and count >= 0 else None for count in counts)
    return prompt, completion


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
    """The hint for a person who asked for a repair: the endpoint's own hint may name an option that a repair lacks."""
    cause = error.__cause__
    if isinstance(cause, APITimeoutError):
        return "is it busy, or still loading the model? ask again, or use a quicker model"
    if isinstance(cause, APIStatusError) and (cause.status_code == 429 or cause.status_code >= 500):
        return "ask again later, or use another endpoint"
    if isinstance(cause, APIStatusError) and cause.status_code in (401, 403):
        return "give the endpoint's key in OPENAI_API_KEY, or in VS Code by Risk: Set the Key of the Repair Endpoint..."
    return error.hint
