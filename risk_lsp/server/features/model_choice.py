"""Models in an editor: which there are, one fetched after the person's consent, and one chosen.

What reads and fetches models is imported by the first command that needs it, in a thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lsprotocol import types
from pygls.exceptions import JsonRpcRequestCancelled

from risk_lsp.errors import BadInput, ModelError, RiskError, log_failure
from risk_lsp.model.registry import CatalogueModel, catalogue_model
from risk_lsp.probe.manifest import DEFAULT, bundle_path
from risk_lsp.server.features.commands import aside
from risk_lsp.server.wire.messenger import Messenger, WorkDoneProgress

if TYPE_CHECKING:
    from risk_lsp.server.session import Session


NOT_NOW = "Not now"
_SECONDS_BETWEEN_REPORTS = 0.2


@dataclass(frozen=True)
class FetchOutcome:
    """What came of it; `message` is for the person."""

    status: Literal["fetched", "declined", "failed", "cancelled"]
    message: str


class ModelFetches:
    """At most one model is fetched at a time, and none without the person's consent."""

    def __init__(self, messenger: Messenger, *, shows_progress: bool) -> None:
        self._messenger = messenger
        self._shows_progress = shows_progress
        self._task: asyncio.Task[FetchOutcome] | None = None
        self._progress: WorkDoneProgress | None = None

    def begin(self, name: str, token: int | str | None) -> Any:
        """Ask for consent and fetch a model of the catalogue. The answer comes when all is done if the request brought
        a progress token, else at once: some clients stand still until a command is answered. Raises RiskError."""
        wanted = catalogue_model(name)
        if self._task is not None:
            raise RiskError("a model is being fetched already", "wait for it, or cancel its progress")
        progress = WorkDoneProgress("risk-lsp model", self._messenger, supported=self._shows_progress, token=token)
        task = asyncio.get_running_loop().create_task(self._outcome(wanted, progress))
        self._task, self._progress = task, progress
        task.add_done_callback(lambda _: self._end(task, progress, tells=token is None))
        if token is None:
            return {"status": "started", "token": progress.token}
        self._messenger.protocol.when_cancelled(task.cancel)
        return _answer(task)

    def cancel_shown(self, token: int | str) -> None:
        """The person cancelled progress."""
        if self._task is not None and self._progress is not None and self._progress.token == token:
            self._task.cancel()

    async def stop(self) -> None:
        """End what is being fetched."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _outcome(self, wanted: CatalogueModel, progress: WorkDoneProgress) -> FetchOutcome:
        try:
            return await self._fetch(wanted, progress)
        except RiskError as error:
            return FetchOutcome("failed", str(error))
        except Exception as error:
            log_failure("fetching a model", error)
            return FetchOutcome("failed", f"{wanted.name} was not fetched; the server's log says where it failed")

    async def _fetch(self, wanted: CatalogueModel, progress: WorkDoneProgress) -> FetchOutcome:
        from risk_lsp.model.store import ModelStore

        store = ModelStore()
        here = await aside(lambda: store.find(wanted.name))
        if here is None or here.weights_hash != wanted.weights_hash or not here.path.exists():
            progress.report("waiting for your consent", 0.0)
            if not await self._may_fetch(wanted, store.partial_size(wanted)):
                return FetchOutcome("declined", f"{wanted.name} was not fetched")
        progress.report("fetching", 0.0)
        loop, is_unwanted, shown = asyncio.get_running_loop(), threading.Event(), 0.0

        def show(done: int) -> None:
            nonlocal shown
            if is_unwanted.is_set():
                raise asyncio.CancelledError
            if time.monotonic() - shown < _SECONDS_BETWEEN_REPORTS and done < wanted.size:
                return
            shown = time.monotonic()
            words = f"{wanted.name}: {done / 1e6:,.0f} of {wanted.size / 1e6:,.0f} MB"
            loop.call_soon_threadsafe(progress.report, words, done / wanted.size)

        try:
            await aside(partial(store.fetch, wanted, show))
        finally:
            is_unwanted.set()
        return FetchOutcome("fetched", f"{wanted.name} is here")

    async def _may_fetch(self, wanted: CatalogueModel, there: int) -> bool:
        """Whether the person agrees, who is told the size, the source and the licence."""
        from risk_lsp.model.store import file_url

        size = f"{wanted.size / 1e6:,.0f} MB" + (f", of which {there / 1e6:,.0f} MB are here," if there else "")
        words = (
            f"risk-lsp: may {wanted.title} be fetched? {size} come from {file_url(wanted)}."
            f" Licence: {wanted.licence}. No text of yours is sent."
        )
        fetch = f"Fetch {(wanted.size - there) / 1e6:,.0f} MB"
        try:
            return await self._messenger.ask_for_consent(words, (fetch, NOT_NOW)) == fetch
        except RiskError:
            raise ModelError(
                f"{wanted.name} was not fetched: this client cannot ask for your consent",
                f"fetch it on the command line: risk-lsp models fetch {wanted.name}",
            ) from None

    def _end(self, task: asyncio.Task[FetchOutcome], progress: WorkDoneProgress, *, tells: bool) -> None:
        self._task = self._progress = None
        outcome = _outcome_of(task)
        progress.end(outcome.status)
        if tells and outcome.status in ("fetched", "failed"):
            level = types.MessageType.Info if outcome.status == "fetched" else types.MessageType.Warning
            self._messenger.tell(level, f"risk-lsp: {outcome.message}")


def _outcome_of(task: asyncio.Task[FetchOutcome]) -> FetchOutcome:
    if task.cancelled():
        return FetchOutcome("cancelled", "what has come is kept, and the next time goes on from there")
    return task.result()


async def _answer(task: asyncio.Task[FetchOutcome]) -> dict[str, str]:
    await asyncio.wait([task])
    outcome = _outcome_of(task)
    if outcome.status == "cancelled":
        raise JsonRpcRequestCancelled(outcome.message)
    return {"status": outcome.status, "message": outcome.message}


async def list_models(session: Session) -> dict[str, Any]:
    """Answer {models, chosen, setting}: the offers, the folder of the bundle that the person chose, and the setting
    `bundle` where it names another one than the chosen."""
    setting = session.settings.bundle

    def list_offers() -> dict[str, Any]:
        from risk_lsp.model.store import ModelStore
        from risk_lsp.probe.offers import model_offers

        offers = [offer.to_json() for offer in model_offers(ModelStore())]
        return {"models": offers, "chosen": str(bundle_path(None)), "setting": None if setting == DEFAULT else setting}

    return await aside(list_offers)


async def use_model(session: Session, name: str) -> dict[str, str]:
    """Choose a model or a bundle for this user, as `risk-lsp models use`, and have it in use at once. Answer {bundle}:
    its folder. Raises RiskError, and changes nothing, where it cannot be used."""
    if (setting := session.settings.bundle) != DEFAULT:
        raise BadInput(
            f"the setting bundle names {setting}, which goes before what is chosen here",
            "remove the setting bundle, or start the server without --bundle",
        )

    def chosen() -> Path:
        from risk_lsp.model.store import ModelStore
        from risk_lsp.probe.offers import use

        return use(name, ModelStore())

    path = await aside(chosen)
    await session.follow_choice()
    return {"bundle": str(path)}


def fetch_model(session: Session, name: str, token: int | str | None) -> Any:
    """Fetch a model of the catalogue, after the person has agreed."""
    return session.fetches.begin(name, token)


async def add_model(_: Session, path: str) -> dict[str, str | None]:
    """Make a GGUF file or a transformers folder known where it is. Answer {name, bundle}: what it is called, and the
    shipped bundle that reads it. Raises RiskError."""
    place = Path(path).expanduser()
    if not place.is_absolute():
        raise BadInput(f"{path} is not a whole path", "write it from the root folder on, or from ~")

    def add() -> dict[str, str | None]:
        from risk_lsp.model.store import ModelStore
        from risk_lsp.probe.offers import bundles_by_hash

        model = ModelStore().add(place)
        return {"name": model.name, "bundle": bundles_by_hash().get(model.weights_hash)}

    return await aside(add)


async def remove_model(_: Session, name: str) -> dict[str, int]:
    """Forget a model that is not in use. Answer {freed}: how many bytes of a fetched one were removed."""

    def free() -> int:
        from risk_lsp.model.store import ModelStore
        from risk_lsp.probe.offers import remove

        return remove(name, ModelStore())

    return {"freed": await aside(free)}
