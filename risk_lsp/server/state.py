"""What the parts of one session share, and what the client hears of it: pause and status."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from risk_lsp.server.configuration import Configuration
from risk_lsp.server.documents.analysis import Analyzer
from risk_lsp.server.documents.document_places import DocumentPlaces, GeneratedRegions
from risk_lsp.server.documents.ignored_lines import IgnoreStore
from risk_lsp.server.documents.line_view import LineViews
from risk_lsp.server.documents.model_host import ModelHost
from risk_lsp.server.documents.open_documents import OpenDocuments, Whereabouts
from risk_lsp.server.documents.personal_level import AcceptedRegions, PersonalLevel
from risk_lsp.server.wire.handshake import Client
from risk_lsp.server.wire.messenger import Messenger
from risk_lsp.settings import Settings
from risk_lsp.text.document import PositionEncoding
from risk_lsp.worker.supervisor import WorkerState


class Snooze:
    """A pause, in which nothing is shown. `changed` is called when one begins, moves or ends."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._timer: asyncio.TimerHandle | None = None
        self.until: float | None = None  # seconds since the epoch

    @property
    def is_on(self) -> bool:
        """Whether nothing is to be shown now."""
        return self.until is not None

    def set(self, minutes: float) -> None:
        """Pause for so long from now on; 0 ends the pause."""
        self.cancel()
        if minutes > 0:
            self.until = time.time() + 60 * minutes
            self._timer = asyncio.get_running_loop().call_later(60 * minutes, self.set, 0.0)
        else:
            self.until = None
        self._changed()

    def cancel(self) -> None:
        """Stop the clock of a pause, which then does not end by itself."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@dataclass(frozen=True)
class State:
    """One session's client, documents, model and what came of them."""

    client: Client
    encoding: PositionEncoding
    configuration: Configuration
    documents: OpenDocuments
    host: ModelHost
    analyzer: Analyzer
    views: LineViews
    snooze: Snooze
    store: IgnoreStore
    regions: GeneratedRegions
    accepted: AcceptedRegions
    personal: PersonalLevel
    places: DocumentPlaces
    attention: Whereabouts

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.configuration.current


STATUS = "riskLsp/status"


@dataclass(frozen=True)
class Status:
    """`state` is one of starting, ready, analysing, paused, failed, off; `until` is in seconds since the epoch."""

    state: str
    message: str
    bundle: str | None = None
    until: int | None = None


def status_of(enabled: bool, until: float | None, host: ModelHost, remark: str | None) -> Status:
    """The status as it is now. `until` is when a pause ends; `remark` is a sentence about the numbers shown last."""
    bundle = host.bundle_name
    if not enabled:
        return Status("off", "Turned off by the setting enabled.", bundle)
    explanation = host.explanation()
    if host.state is WorkerState.FAILED:
        return Status("failed", _sentence(explanation or "the model failed"), bundle)
    if until is not None:
        clock = time.strftime("%H:%M", time.localtime(until))
        return Status("paused", f"Paused until {clock}: nothing is shown.", bundle, round(until))
    if explanation is not None:
        return Status("starting", _sentence(explanation), bundle)
    state = "analysing" if host.state is WorkerState.BUSY else "ready"
    first = "Scoring a document." if state == "analysing" else "Ready."
    return Status(state, first if remark is None else f"{first} {remark}", bundle)


class StatusReporter:
    """Sends the status to a client that wants it, whenever it differs from what was sent last."""

    def __init__(self, messenger: Messenger) -> None:
        self._messenger = messenger
        self._sent: Status | None = None

    def report(self, status: Status) -> None:
        """Send the status if it is news."""
        if status != self._sent:
            self._sent = status
            self._messenger.notify(STATUS, asdict(status))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
