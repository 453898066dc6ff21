"""One repair that somebody asked for, from the question to its outcome, and its progress in the client."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from lsprotocol import types

from risk_lsp.server.state import Notify, Request
from risk_lsp.text.document import Part
from risk_lsp.text.spans import Span

_TITLE = "risk-lsp repair"


class RepairProgress:
    """Cancellable work-done progress under the client's own token, or one that is created for it.

    Answers are taken by callback, as in `LoadingProgress`, and for the same reason.
    """

    def __init__(self, supported: bool, request: Request, notify: Notify, token: int | str | None) -> None:
        self.token: int | str = str(uuid.uuid4()) if token is None else token
        self._notify = notify
        self._newest: tuple[str, int] = ("starting", 0)
        self._shown = False
        self._ended = False
        if token is not None:
            self._begin(None)
        elif supported:
            request("window/workDoneProgress/create", types.WorkDoneProgressCreateParams(self.token), self._begin)

    def report(self, stage: str, done: float) -> None:
        """How far it is: words, and 0 to 1."""
        newest = (stage, max(self._newest[1], min(100, round(100 * done))))
        if newest != self._newest and self._shown and not self._ended:
            self._send(types.WorkDoneProgressReport(cancellable=True, message=stage, percentage=newest[1]))
        self._newest = newest

    def end(self, words: str | None = None) -> None:
        """There is nothing left to wait for. Calls after the first do nothing."""
        if self._shown and not self._ended:
            self._send(types.WorkDoneProgressEnd(message=words))
        self._ended = True

    def _begin(self, _: object) -> None:
        if not self._ended:
            self._shown = True
            stage, percentage = self._newest
            self._send(types.WorkDoneProgressBegin(_TITLE, cancellable=True, message=stage, percentage=percentage))

    def _send(self, value: Any) -> None:
        self._notify("$/progress", types.ProgressParams(self.token, value))


class Stage(Enum):
    """How far a repair is. At OFFERING and APPLYING it waits for the person alone; at ENDING it was cancelled."""

    WORKING = "working"
    OFFERING = "offering"
    APPLYING = "applying"
    ENDING = "ending"


@dataclass(frozen=True)
class RepairOutcome:
    """What came of it. words: for the person, empty where they know already."""

    status: Literal["applied", "discarded", "shown", "outdated", "passing", "not found", "failed", "cancelled"]
    words: str = ""
    level: types.MessageType = types.MessageType.Info


OUTDATED = RepairOutcome(
    "outdated",
    "risk-lsp: the text changed while its repair was looked for, so nothing was applied; ask again",
    types.MessageType.Warning,
)


@dataclass
class RepairJob:
    """What is repaired, in a snapshot that the work never leaves. hint: None if the person is to be asked for it."""

    part: Part
    span: Span
    range: types.Range
    hint: str | None
    progress: RepairProgress
    stage: Stage = Stage.WORKING
    is_outdated: bool = False
    task: asyncio.Task[RepairOutcome] | None = None

    def cancel(self) -> None:
        """End all that is done for it."""
        self.stage = Stage.ENDING
        if self.task is not None:
            self.task.cancel()

    def outcome(self) -> RepairOutcome:
        """What came of it, once its task has ended."""
        assert self.task is not None
        if self.task.cancelled():
            return OUTDATED if self.is_outdated else RepairOutcome("cancelled")
        return self.task.result()
