"""What the parts of one session share, and what the client sees of its state: status, pause, progress of loading."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass

from lsprotocol import types

from risk_lsp.server.configuration import Configuration
from risk_lsp.server.documents.analysis import Analyzer
from risk_lsp.server.documents.document_places import DocumentPlaces
from risk_lsp.server.documents.generated import GeneratedRegions
from risk_lsp.server.documents.ignored_lines import IgnoreStore
from risk_lsp.server.documents.line_view import LineViews
from risk_lsp.server.documents.model_host import ModelHost
from risk_lsp.server.documents.open_documents import OpenDocuments, Whereabouts
from risk_lsp.server.wire.handshake import Client
from risk_lsp.server.wire.messenger import Messenger
from risk_lsp.settings import Settings
from risk_lsp.text.positions import PositionEncoding
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


class LoadingProgress:
    """At most one work-done progress at a time, shown only by clients that can.

    The client's answer is taken by callback. If a task waited for it and were cancelled, it would leave a cancelled
    future behind, over which the answer would fail.
    """

    def __init__(self, supported: bool, messenger: Messenger) -> None:
        self._supported = supported
        self._messenger = messenger
        self._token: str | None = None  # of the loading that is going on
        self._shown = False

    def begin(self, message: str) -> None:
        """Show that the model loads."""
        if not self._supported or self._token is not None:
            return
        token = self._token = str(uuid.uuid4())

        def created(_: object) -> None:
            if self._token == token:
                self._shown = True
                self._send(token, types.WorkDoneProgressBegin(title="risk-lsp", message=message))

        params = types.WorkDoneProgressCreateParams(token)
        self._messenger.request(types.WINDOW_WORK_DONE_PROGRESS_CREATE, params, created)

    def end(self) -> None:
        """Take the progress from the screen: the model has loaded, or will not."""
        token, shown = self._token, self._shown
        self._token, self._shown = None, False
        if token is not None and shown:
            self._send(token, types.WorkDoneProgressEnd())

    def _send(self, token: str, value: types.WorkDoneProgressBegin | types.WorkDoneProgressEnd) -> None:
        self._messenger.notify(types.PROGRESS, types.ProgressParams(token, value))


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
