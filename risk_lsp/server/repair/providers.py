"""Who makes repairs: the embedded model, a model at an endpoint, or the editor's own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from risk_lsp.errors import RepairError, RiskError
from risk_lsp.repair.chat import ChatProvider, EditorChat
from risk_lsp.repair.embedded import EmbeddedProvider
from risk_lsp.repair.orchestration import Provider
from risk_lsp.server.state import State
from risk_lsp.server.wire.messenger import Messenger
from risk_lsp.settings import Settings

if TYPE_CHECKING:
    from risk_lsp.repair.endpoint import EndpointChat

CHAT = "riskLsp/chat"
SECRET = "riskLsp/secret"
_OPENAI = "https://api.openai.com/v1"
_TIMEOUT = 60.0


@asynccontextmanager
async def provider_of(state: State, messenger: Messenger) -> AsyncIterator[Provider]:
    """The provider that the settings name. Raises RepairError where it cannot be had."""
    kind = state.settings.repair_provider
    if kind == "embedded":
        yield EmbeddedProvider()
    elif kind == "editor":
        if "chat" not in state.client.offers:
            raise RepairError("this editor offers no model of its own", "set repairProvider to embedded or endpoint")
        chat = EditorChat(lambda asked: messenger.ask(CHAT, asked))
        yield ChatProvider(chat, feedback=_feedback(state.settings))
    else:
        url = _url(state.settings)
        key = await _key(state, messenger, url or _OPENAI)
        if key is None and url is None:
            raise RepairError("the endpoint needs a key", "set OPENAI_API_KEY, or name a server in repairEndpoint")
        # The client library takes its time to import.
        repairing, *critics = await asyncio.to_thread(_endpoint_chats, state.settings, url, key)
        try:
            yield ChatProvider(repairing, feedback=critics[0] if critics else _feedback(state.settings))
        finally:
            for each in (repairing, *critics):
                await each.close()


def _feedback(settings: Settings) -> Literal["joint", "same"]:
    return "same" if settings.repair_feedback == "same" else "joint"


def _url(settings: Settings) -> str | None:
    """The endpoint's base URL, None for the service's own. Raises RepairError if it may not be asked."""
    if not settings.repair_model:
        raise RepairError("no model is named for the endpoint", "name one in the setting repairModel")
    url = settings.repair_endpoint or os.environ.get("OPENAI_BASE_URL") or None
    if settings.offline and not _is_local(url or _OPENAI):
        host = urlsplit(url or _OPENAI).hostname
        raise RepairError(f"{host} is on the network and risk-lsp is offline", "set offline to false to allow it")
    return url


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _key(state: State, messenger: Messenger, url: str) -> str | None:
    """The key from the editor's secret store, or else from the environment. Neither logged nor kept."""
    if "secret" in state.client.offers:
        try:
            answer = await messenger.ask(SECRET, {"endpoint": url})
        except RiskError:
            answer = None
        secret = answer.get("secret") if isinstance(answer, dict) else None
        if isinstance(secret, str) and secret:
            return secret
    return os.environ.get("OPENAI_API_KEY") or None


def _endpoint_chats(settings: Settings, url: str | None, key: str | None) -> list[EndpointChat]:
    """The model that repairs, and the one that says what is wrong, if that is another."""
    try:
        from risk_lsp.repair.endpoint import EndpointChat, EndpointOptions
    except ModuleNotFoundError as error:
        raise RepairError(
            f"endpoints need the package {error.name}", "install it beside the server: pip install 'risk-lsp[endpoint]'"
        ) from error
    timeout = min(_TIMEOUT, settings.repair_seconds)
    models = [settings.repair_model, *filter(None, [settings.repair_feedback_model])]
    return [EndpointChat(EndpointOptions(model, url, key, timeout=timeout)) for model in models]
