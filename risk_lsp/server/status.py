"""`riskLsp/status`: how the server is, in a word and in a sentence."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from risk_lsp.model.supervisor import WorkerState
from risk_lsp.server.model_host import ModelHost

STATUS = "riskLsp/status"


@dataclass(frozen=True)
class Status:
    """`state` is one of starting, ready, analysing, paused, failed, off; `until` is in seconds since the epoch."""

    state: str
    message: str
    bundle: str | None = None
    until: int | None = None


def status_of(enabled: bool, until: float | None, host: ModelHost, remark: str | None) -> Status:
    """The status as it is now; `remark` is a sentence worth knowing about the numbers shown last."""
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

    def __init__(self, notify: Callable[[str, Any], None]) -> None:
        self._notify = notify
        self._sent: Status | None = None

    def report(self, status: Status) -> None:
        """Send the status if it is news."""
        if status != self._sent:
            self._sent = status
            self._notify(STATUS, asdict(status))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
