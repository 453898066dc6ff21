"""The repairs that a client asks for: one at a time for each document, and how they begin and end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams, JsonRpcRequestCancelled

from risk_lsp.errors import RiskError, log_failure
from risk_lsp.server.command_table import REPAIR_WITH_HINT
from risk_lsp.server.documents.open_documents import OpenDocuments
from risk_lsp.server.features.code_actions import REPAIRED_LANGUAGE
from risk_lsp.server.features.questions import Questions
from risk_lsp.server.state import State
from risk_lsp.server.wire.connection import REQUEST_FAILED
from risk_lsp.server.wire.convert import asked_span
from risk_lsp.server.wire.messenger import Messenger, WorkDoneProgress
from risk_lsp.text.document import Part, Span

if TYPE_CHECKING:
    from risk_lsp.server.session import Session

_AT_ONCE = 2  # of all documents together


class Stage(Enum):
    """How far a repair is. At OFFERING and APPLYING only the person's answer is missing; at ENDING it was cancelled."""

    WORKING = "working"
    OFFERING = "offering"
    APPLYING = "applying"
    ENDING = "ending"


@dataclass(frozen=True)
class RepairOutcome:
    """What came of a repair. `words` are for the person, empty where they know already."""

    status: Literal["applied", "discarded", "shown", "outdated", "passing", "not found", "failed", "cancelled"]
    words: str = ""
    level: types.MessageType = types.MessageType.Info

    @classmethod
    def failure(cls, reason: str) -> RepairOutcome:
        """The outcome of a repair that could not be looked for."""
        return cls("failed", f"risk-lsp: no repair, and nothing was changed: {reason}", types.MessageType.Warning)


OUTDATED = RepairOutcome(
    "outdated",
    "risk-lsp: the text changed while its repair was looked for, so nothing was applied; ask again",
    types.MessageType.Warning,
)


@dataclass
class RepairJob:
    """A repair of one snapshot, as it was asked for. If `hint` is None, the person is asked for it."""

    part: Part
    span: Span
    range: types.Range
    hint: str | None
    progress: WorkDoneProgress
    stage: Stage = Stage.WORKING
    is_outdated: bool = False
    task: asyncio.Task[RepairOutcome] | None = None

    def cancel(self) -> None:
        """End all that is done for it."""
        self.stage = Stage.ENDING
        if self.task is not None:
            self.task.cancel()

    def cancel_if_outdated(self, documents: OpenDocuments) -> None:
        """End the work on a text that is not there any more, unless it is the repair's own edit that replaces it."""
        if self.stage in (Stage.WORKING, Stage.OFFERING) and not documents.is_newest(self.part.document):
            self.is_outdated = True
            self.cancel()

    def outcome(self) -> RepairOutcome:
        """What came of it, once its task has ended."""
        assert self.task is not None
        if self.task.cancelled():
            return OUTDATED if self.is_outdated else RepairOutcome("cancelled")
        return self.task.result()

    async def answer(self) -> dict[str, str]:
        """The answer to a request that waits for the outcome. Raises JsonRpcRequestCancelled if it was cancelled."""
        assert self.task is not None
        await asyncio.wait([self.task])
        outcome = self.outcome()
        if outcome.status == "cancelled":
            raise JsonRpcRequestCancelled("the repair was cancelled, and nothing was changed")
        return {"status": outcome.status, "message": outcome.words}


class Repairs:
    """The repairs of one session; `jobs` are those that have not ended, `folder` is the user's data folder."""

    def __init__(self, state: State, questions: Questions, messenger: Messenger, folder: Path) -> None:
        self._state = state
        self._questions = questions
        self._messenger = messenger
        self._folder = folder
        self.jobs: list[RepairJob] = []

    def begin(self, uri: str, place: types.Range, hint: str | None, token: int | str | None) -> Any:
        """Start a repair. Returns the answer to the request, or something to await for it.

        A request with a progress token is answered when the repair has ended. Any other one is answered at once: some
        clients stand still until a command is answered.
        """
        part = self._questions.part_of(uri)
        document = part.document
        self._questions.require_scored(document)
        if document.language_id != REPAIRED_LANGUAGE:
            raise RiskError(f"a text in {document.language_id} cannot be repaired", "repairs are for Python")
        span = asked_span(part, place, self._state.encoding)
        self._make_room(document.uri)
        supported = self._state.client.work_done_progress
        progress = WorkDoneProgress("risk-lsp repair", self._messenger, supported=supported, token=token)
        job = RepairJob(part, span, place, hint, progress)
        job.task = asyncio.get_running_loop().create_task(self._carry_out(job))
        job.task.add_done_callback(lambda _: self._end(job))
        self.jobs.append(job)
        if token is None:
            return {"status": "started", "token": progress.token}
        self._messenger.protocol.when_cancelled(job.cancel)
        return job.answer()

    def cancel(self, uri: str) -> bool:
        """End the repairs of a document; returns whether there were any."""
        found = [job for job in self.jobs if job.part.document.uri == uri and job.stage is not Stage.ENDING]
        for job in found:
            job.cancel()
        return bool(found)

    def cancel_shown(self, params: types.WorkDoneProgressCancelParams) -> None:
        """End the repair whose progress the person cancelled."""
        for job in self.jobs:
            if job.progress.token == params.token:
                job.cancel()

    async def stop(self) -> None:
        """End everything, and wait until it has ended."""
        tasks = [job.task for job in self.jobs if job.task is not None]
        for job in self.jobs:
            job.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _make_room(self, uri: str) -> None:
        """Take back an offer that nobody answers; raise JsonRpcException where work is under way."""
        working = [job for job in self.jobs if job.stage is Stage.WORKING]
        if any(job.part.document.uri == uri for job in working):
            raise JsonRpcException(
                "a repair of this document is under way; wait for it, or end it with riskLsp.cancelRepair",
                REQUEST_FAILED,
            )
        if len(working) >= _AT_ONCE:
            raise JsonRpcException(f"{_AT_ONCE} repairs are under way already; wait, or cancel one", REQUEST_FAILED)
        self.cancel(uri)

    async def _carry_out(self, job: RepairJob) -> RepairOutcome:
        try:
            # With it comes what searches and runs programs, which is seldom needed.
            work = await asyncio.to_thread(import_module, "risk_lsp.server.repair.work")
            outcome: RepairOutcome = await work.carry_out(job, self._state, self._messenger, self._folder)
            return outcome
        except RiskError as error:
            return RepairOutcome.failure(str(error) if error.hint else f"{error} (ask again)")
        except Exception as error:
            log_failure("a repair", error)
            return RepairOutcome.failure(f"the repair failed ({type(error).__name__}); the server's log says where")

    def _end(self, job: RepairJob) -> None:
        """Say what came of a repair. It may have been cancelled before it began."""
        self.jobs.remove(job)
        outcome = job.outcome()
        job.progress.end(outcome.status)
        if outcome.words:
            self._messenger.tell(outcome.level, outcome.words)


# The commands, which are named in `server/command_table.py`.


def repair(session: Session, uri: str, place: types.Range, token: int | str | None) -> Any:
    """Look for a repair of a part of a document."""
    return session.repairs.begin(uri, place, "", token)


def repair_with_hint(session: Session, uri: str, place: types.Range, hint: str | None, token: int | str | None) -> Any:
    """Look for a repair that follows a person's hint; a client that can ask the person for it need not send one."""
    if hint is None and "hint" not in session.state.client.offers:
        raise JsonRpcInvalidParams(f"{REPAIR_WITH_HINT}: expected the hint, a text, as the last argument")
    return session.repairs.begin(uri, place, hint, token)


def cancel_repair(session: Session, uri: str) -> bool:
    """End the repair of a document; returns whether there was one."""
    return session.repairs.cancel(session.questions.part_of(uri).document.uri)


def forget_test_answers(session: Session) -> int:
    """Ask again before tests are run; returns how many answers were forgotten."""
    from risk_lsp.server.repair.confirmations import ConsentStore

    return ConsentStore(session.data_folder / "tests").forget_all()
