"""The work of one repair: the hint, the tests, who makes repairs, the search. Imported when the first is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from risk_lsp.errors import RepairError
from risk_lsp.repair.chat import ChatProvider, EditorChat, HostedChat
from risk_lsp.repair.embedded import EmbeddedProvider
from risk_lsp.repair.model_questions import WorkerModel
from risk_lsp.repair.orchestration import Provider, TwoProviders, repair
from risk_lsp.repair.test_plan import TestPlan
from risk_lsp.repair.tree import RepairTree, TreeStore
from risk_lsp.repair.workbench import Budget, RepairRequest, RepairResult
from risk_lsp.sandbox.isolation import SandboxError
from risk_lsp.server.repair.confirmations import ConsentStore, find_judge, offer_repair
from risk_lsp.server.repair.queue import RepairJob, RepairOutcome
from risk_lsp.server.state import State
from risk_lsp.server.wire.convert import name_of
from risk_lsp.server.wire.messenger import Messenger
from risk_lsp.settings import Settings, is_this_machine

if TYPE_CHECKING:
    from risk_lsp.repair.endpoint import EndpointChat

CHAT = "riskLsp/chat"
_OPENAI = "https://api.openai.com/v1"
_TIMEOUT = 60.0
_HINT_UNREAD = (
    "the built-in model reads no hints; set repairProvider to endpoint or editor, or repairAdapter, for one that does"
)

logger = logging.getLogger(__name__)


async def carry_out(job: RepairJob, state: State, messenger: Messenger, folder: Path) -> RepairOutcome:
    """Carry out a repair from the hint to the person's answer; `folder` is the user's data folder.

    Nothing but an edit that the person accepts changes anything. Raises RiskError if the repair cannot be looked for.
    """
    hint = job.hint
    if hint is None:
        job.progress.report("waiting for your hint", 0.0)
        hint = await messenger.ask_hint(job.part.uri, job.range, "repair")
        if hint is None:
            return RepairOutcome("cancelled")
    judge = await find_judge(job, state, messenger, ConsentStore(folder / "tests"))
    settings, document = state.settings, job.part.document
    name = name_of(job.part.uri)
    budget = Budget(settings.repair_tokens, settings.repair_executions, settings.repair_seconds)
    request = RepairRequest(document.text, document.language_id, job.span, hint, name, budget=budget)
    result = await _search(job, state, messenger, request, judge.plan, folder)
    job.progress.end(result.status)
    words = f"risk-lsp: {result.message}; {result.hint}"
    if judge.plan is None:
        words = f"{words} (nothing was run: {judge.why_none})"
    if result.offers and (said := result.offers[0].words_of_model):
        words = f"{words}. {said}"
    if hint and settings.repair_provider == "embedded" and not settings.repair_adapter:
        words = f"{words} ({_HINT_UNREAD})"
    return await offer_repair(job, state, messenger, result, name, words)


async def _search(
    job: RepairJob,
    state: State,
    messenger: Messenger,
    request: RepairRequest,
    tests: TestPlan | None,
    folder: Path,
) -> RepairResult:
    store = await asyncio.to_thread(_fresh_record, folder / "repairs", request)
    async with provider_of(state, messenger) as provider:
        try:
            return await repair(
                request,
                WorkerModel(state.host.ask),
                provider,
                tests=tests,
                store=store,
                on_progress=lambda now: job.progress.report(now.stage, now.done),
            )
        except SandboxError as error:
            raise RepairError(error.message, f"{error.hint}; or set repairTests to none") from error


class RepairRecord(TreeStore):
    """A record that may fail to be written; the log says so, and the repair goes on."""

    def save(self, tree: RepairTree) -> None:
        """Write the tree, or log why it cannot be written."""
        try:
            super().save(tree)
        except RepairError as error:
            logger.warning("%s", error)


def _fresh_record(folder: Path, request: RepairRequest) -> TreeStore:
    """An empty record. An old one is not continued: the tests may say something else by now."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = RepairRecord.in_folder(folder, request)
    with contextlib.suppress(OSError):
        store.path.unlink(missing_ok=True)
    return store


# Who makes repairs: the embedded model, a model at an endpoint, or the editor's own.


@asynccontextmanager
async def provider_of(state: State, messenger: Messenger) -> AsyncIterator[Provider]:
    """The provider that the settings name. Raises RepairError if it cannot be had."""
    settings = state.settings
    feedback: Literal["joint", "same"] = "same" if settings.repair_feedback == "same" else "joint"
    if settings.repair_provider == "embedded" and not settings.repair_adapter:
        yield EmbeddedProvider()
    elif settings.repair_provider == "embedded":
        hosted = HostedChat(WorkerModel(state.host.ask), Path(settings.repair_adapter).expanduser())
        named = [settings.repair_feedback_model] if settings.repair_feedback_model else []
        async with _endpoint_chats(settings, messenger, named) as critics:
            debugger = ChatProvider(hosted, feedback=critics[0] if critics else feedback)
            yield TwoProviders(EmbeddedProvider(), debugger)
    elif settings.repair_provider == "editor":
        if "chat" not in state.client.offers:
            raise RepairError("this editor offers no model of its own", "set repairProvider to embedded or endpoint")
        yield ChatProvider(EditorChat(lambda asked: messenger.ask(CHAT, asked)), feedback=feedback)
    elif not settings.repair_model:
        raise RepairError("no model is named for the endpoint", "name one in the setting repairModel")
    else:
        # The model that repairs, and, if that is another, the one that says what is wrong.
        named = [settings.repair_model, *filter(None, [settings.repair_feedback_model])]
        async with _endpoint_chats(settings, messenger, named) as (repairing, *critics):
            yield ChatProvider(repairing, feedback=critics[0] if critics else feedback)


@asynccontextmanager
async def _endpoint_chats(
    settings: Settings, messenger: Messenger, models: Sequence[str]
) -> AsyncIterator[list[EndpointChat]]:
    """Models at the endpoint; without any, nothing is asked for. Raises RepairError if it cannot be asked."""
    if not models:
        yield []
        return
    url = _url(settings)
    key = await messenger.ask_secret(url or _OPENAI) or os.environ.get("OPENAI_API_KEY") or None
    if key is None and url is None:
        raise RepairError("the endpoint needs a key", "set OPENAI_API_KEY, or name a server in repairEndpoint")
    # The client library takes its time to import.
    chats = await asyncio.to_thread(_make_chats, settings, models, url, key)
    try:
        yield chats
    finally:
        for each in chats:
            await each.close()


def _url(settings: Settings) -> str | None:
    """The endpoint's base URL, None for OpenAI's own. Raises RepairError if the settings do not allow to ask it."""
    url = settings.repair_endpoint or os.environ.get("OPENAI_BASE_URL") or None
    host = urlsplit(url or _OPENAI).hostname or ""
    if settings.offline and not is_this_machine(host):
        raise RepairError(f"{host} is on the network and risk-lsp is offline", "set offline to false to allow it")
    return url


def _make_chats(settings: Settings, models: Sequence[str], url: str | None, key: str | None) -> list[EndpointChat]:
    try:
        from risk_lsp.repair.endpoint import EndpointChat, EndpointOptions
    except ModuleNotFoundError as error:
        raise RepairError(
            f"endpoints need the package {error.name}", "install it beside the server: pip install 'risk-lsp[endpoint]'"
        ) from error
    timeout = min(_TIMEOUT, settings.repair_seconds)
    return [EndpointChat(EndpointOptions(model, url, key, timeout=timeout)) for model in models]
