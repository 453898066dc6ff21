"""A language model at an endpoint that speaks OpenAI's chat protocol: a service, or a server of one's own."""

from __future__ import annotations

from typing import NamedTuple

from openai import APIConnectionError, APIStatusError, OpenAI, OpenAIError

from risk_lsp.errors import RiskError


class EndpointError(RiskError):
    """The endpoint cannot be reached, refuses, or answers with something else than a completion."""


class Completion(NamedTuple):
    """What the model wrote, and the tokens that it read and wrote; None where the endpoint does not say."""

    text: str
    prompt_tokens: int | None
    completion_tokens: int | None


class Endpoint:
    """One model at one endpoint. The key is read from OPENAI_API_KEY; servers of one's own mostly need none."""

    def __init__(self, model: str, base_url: str | None, key: str | None, *, max_tokens: int, timeout: float) -> None:
        if key is None and base_url is None:
            raise EndpointError("no key for the endpoint", "set OPENAI_API_KEY, or name a server with --base-url")
        self._model = model
        self._max_tokens = max_tokens
        self._client = OpenAI(base_url=base_url, api_key=key or "none", timeout=timeout, max_retries=4)

    def complete(self, prompt: str, temperature: float) -> Completion:
        """One answer to a prompt. EndpointError says what went wrong."""
        try:
            answer = self._client.chat.completions.create(
                model=self._model,
                messages=[{"role": "user", "content": prompt}],
                temperature=temperature,
                max_tokens=self._max_tokens,
            )
        except APIConnectionError as error:
            raise EndpointError(f"no answer from {self._client.base_url}: {error}", "is the server running?") from error
        except APIStatusError as error:
            raise EndpointError(
                f"{self._client.base_url} refused: {error.status_code} {error.message}",
                "check the model's name and the key",
            ) from error
        except OpenAIError as error:
            raise EndpointError(f"{self._client.base_url}: {error}", "does it speak the chat protocol?") from error
        if not answer.choices or answer.choices[0].message.content is None:
            raise EndpointError(f"{self._client.base_url} answered without a text", "does it speak the chat protocol?")
        usage = answer.usage
        return Completion(
            answer.choices[0].message.content,
            usage.prompt_tokens if usage else None,
            usage.completion_tokens if usage else None,
        )
