"""The repairs that a client asks for: one at a time for each document, beside everything else, and ended when asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams, JsonRpcRequestCancelled

from risk_lsp.errors import RiskError
from risk_lsp.server.features.code_actions import REPAIR, REPAIR_WITH_HINT, REPAIRED_LANGUAGE
from risk_lsp.server.features.questions import Questions
from risk_lsp.server.repair.repair_job import RepairJob, RepairOutcome, RepairProgress, Stage
from risk_lsp.server.state import State
from risk_lsp.server.wire.barrier import REQUEST_FAILED, log_failure
from risk_lsp.server.wire.client import Messenger
from risk_lsp.server.wire.convert import Arguments, asked_span

_AT_ONCE = 2  # of all documents together


class Repairs:
    """Handlers of the commands, and what runs. `folder` is the user's data folder."""

    def __init__(self, state: State, questions: Questions, endpoint: Messenger, folder: Path) -> None:
        self._state = state
        self._questions = questions
        self._endpoint = endpoint
        self._folder = folder
        self._jobs: list[RepairJob] = []

    def handlers(self) -> dict[str, Callable[[Arguments], Any]]:
        """The handlers by command."""
        return {
            REPAIR: lambda arguments: self._begin(arguments, ""),
            REPAIR_WITH_HINT: lambda arguments: self._begin(arguments, self._hint(arguments)),
            "riskLsp.cancelRepair": self._cancel,
            "riskLsp.forgetTestAnswers": self._forget_answers,
        }

    def cancel_shown(self, params: types.WorkDoneProgressCancelParams) -> None:
        """The person cancelled progress."""
        for job in self._jobs:
            if job.progress.token == params.token:
                job.cancel()

    def drop_outdated(self) -> None:
        """End the work on texts that are not there any more; an edit that is being applied is what changes its text."""
        for job in self._jobs:
            can_be_dropped = job.stage in (Stage.WORKING, Stage.OFFERING)
            if can_be_dropped and not self._state.documents.is_newest(job.part.document):
                job.is_outdated = True
                job.cancel()

    async def stop(self) -> None:
        """End everything, and wait until it has."""
        tasks = [job.task for job in self._jobs if job.task is not None]
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, arguments: Arguments, hint: str | None) -> Any:
        """Start a repair. A request that brings a progress token is answered when all is done, any other one at once:
        some clients stand still until a command is answered."""
        part = self._questions.part_of(arguments.uri(0))
        document = part.document
        self._questions.require_scored(document)
        if document.language_id != REPAIRED_LANGUAGE:
            raise RiskError(f"a text in {document.language_id} cannot be repaired", "repairs are for Python")
        place = arguments.range(1)
        span = asked_span(part, place, self._state.encoding)
        self._make_room(document.uri)
        token = arguments.progress_token
        request, notify = self._endpoint.request, self._endpoint.notify
        progress = RepairProgress(self._state.client.work_done_progress, request, notify, token)
        job = RepairJob(part, span, place, hint, progress)
        task = job.task = asyncio.get_running_loop().create_task(self._carried_out(job))
        task.add_done_callback(lambda _: self._ended(job))
        self._jobs.append(job)
        if token is None:
            return {"status": "started", "token": progress.token}
        self._endpoint.protocol.when_cancelled(job.cancel)
        return _answer(job, task)

    def _hint(self, arguments: Arguments) -> str | None:
        hint = arguments.text(2)
        if hint is None and "hint" not in self._state.client.offers:
            raise JsonRpcInvalidParams(f"{REPAIR_WITH_HINT}: expected the hint, a text, as the last argument")
        return hint

    def _make_room(self, uri: str) -> None:
        """Take back an offer that nobody answers; refuse where work is under way."""
        working = [job for job in self._jobs if job.stage is Stage.WORKING]
        if any(job.part.document.uri == uri for job in working):
            raise JsonRpcException(
                "a repair of this document is under way; wait for it, or end it with riskLsp.cancelRepair",
                REQUEST_FAILED,
            )
        if len(working) >= _AT_ONCE:
            raise JsonRpcException(f"{_AT_ONCE} repairs are under way already; wait, or cancel one", REQUEST_FAILED)
        for job in self._jobs:
            if job.part.document.uri == uri and job.stage is not Stage.ENDING:
                job.cancel()

    def _cancel(self, arguments: Arguments) -> bool:
        """End the repair of a document; whether there was one."""
        uri = self._questions.part_of(arguments.uri(0)).document.uri
        found = [job for job in self._jobs if job.part.document.uri == uri and job.stage is not Stage.ENDING]
        for job in found:
            job.cancel()
        return bool(found)

    def _forget_answers(self, _: Arguments) -> Any:
        from risk_lsp.server.repair.dialogs import ConsentStore

        return ConsentStore(self._folder / "tests").forget_all()

    def _ended(self, job: RepairJob) -> None:
        """Say what came of a repair. It may have been cancelled before it began."""
        self._jobs.remove(job)
        outcome = job.outcome()
        job.progress.end(outcome.status)
        if outcome.words:
            self._endpoint.tell(outcome.level, outcome.words)

    async def _carried_out(self, job: RepairJob) -> RepairOutcome:
        try:
            # With it comes what searches and runs programs, which is seldom needed.
            work = await asyncio.to_thread(import_module, "risk_lsp.server.repair.work")
            outcome: RepairOutcome = await work.RepairWork(self._state, self._endpoint, self._folder, job).run()
            return outcome
        except RiskError as error:
            return _failed(str(error) if error.hint else f"{error} (ask again)")
        except Exception as error:
            log_failure("a repair", error)
            return _failed(f"the repair failed ({type(error).__name__}); the server's log says where")


async def _answer(job: RepairJob, task: asyncio.Task[RepairOutcome]) -> dict[str, str]:
    await asyncio.wait([task])
    outcome = job.outcome()
    if outcome.status == "cancelled":
        raise JsonRpcRequestCancelled("the repair was cancelled, and nothing was changed")
    return {"status": outcome.status, "message": outcome.words}


def _failed(reason: str) -> RepairOutcome:
    return RepairOutcome("failed", f"risk-lsp: no repair, and nothing was changed: {reason}", types.MessageType.Warning)
