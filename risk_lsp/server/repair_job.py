"""One repair that somebody asked for, from the question to its outcome."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from lsprotocol import types

from risk_lsp.server.repair_progress import RepairProgress
from risk_lsp.text.parts import Part
from risk_lsp.text.spans import Span


class Stage(Enum):
    """How far a repair is. At OFFERING and APPLYING it waits for the person alone; at ENDING it was cancelled."""

    WORKING = "working"
    OFFERING = "offering"
    APPLYING = "applying"
    ENDING = "ending"


@dataclass(frozen=True)
class Outcome:
    """What came of it. words: for the person, empty where they know already."""

    status: Literal["applied", "discarded", "shown", "outdated", "passing", "not found", "failed", "cancelled"]
    words: str = ""
    level: types.MessageType = types.MessageType.Info


OUTDATED = Outcome(
    "outdated",
    "risk-lsp: the text changed while its repair was looked for, so nothing was applied; ask again",
    types.MessageType.Warning,
)


@dataclass
class Job:
    """What is repaired, in a snapshot that the work never leaves. hint: None if the person is to be asked for it."""

    part: Part
    span: Span
    range: types.Range
    hint: str | None
    progress: RepairProgress
    stage: Stage = Stage.WORKING
    is_outdated: bool = False
    task: asyncio.Task[Outcome] | None = None

    def cancel(self) -> None:
        """End all that is done for it."""
        self.stage = Stage.ENDING
        if self.task is not None:
            self.task.cancel()

    def outcome(self) -> Outcome:
        """What came of it, once its task has ended."""
        assert self.task is not None
        if self.task.cancelled():
            return OUTDATED if self.is_outdated else Outcome("cancelled")
        return self.task.result()
