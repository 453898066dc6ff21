"""The work of one repair: tests and consent, the search, the offer. Imported when the first one is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from lsprotocol import types
from pygls.uris import to_fs_path

from risk_lsp.errors import RepairError
from risk_lsp.repair.orchestration import repair
from risk_lsp.repair.request import Budget, RepairRequest, RepairResult, unified_diff
from risk_lsp.repair.test_plan import TestPlan, find_tests
from risk_lsp.repair.tree import RepairTree, TreeStore
from risk_lsp.repair.worker_model import WorkerModel
from risk_lsp.sandbox.isolation import SandboxError
from risk_lsp.server.features.code_actions import NOT_TRUSTED
from risk_lsp.server.repair.dialogs import (
    NEVER,
    RUN,
    ConsentStore,
    annotated_edit,
    is_accepted,
    may_run,
    plain_edit,
    title_of,
)
from risk_lsp.server.repair.providers import provider_of
from risk_lsp.server.repair.queue import OUTDATED, RepairJob, RepairOutcome, Stage
from risk_lsp.server.state import State
from risk_lsp.server.wire.messenger import Messenger

ASK_HINT = "riskLsp/askHint"
_HINT_UNREAD = "the built-in model reads no hints; set repairProvider to endpoint or editor for one that does"

logger = logging.getLogger(__name__)


class Judge(NamedTuple):
    """The tests to run, or why nothing is run."""

    plan: TestPlan | None
    why_none: str = ""


class RepairRecord(TreeStore):
    """A record that a repair can do without: where it cannot be written, the log says so."""

    def save(self, tree: RepairTree) -> None:
        """Write the tree, if that can be done."""
        try:
            super().save(tree)
        except RepairError as error:
            logger.warning("%s", error)


class RepairWork:
    """Carries out one job. `folder` is the user's data folder."""

    def __init__(self, state: State, messenger: Messenger, folder: Path, job: RepairJob) -> None:
        self._state = state
        self._messenger = messenger
        self._folder = folder
        self._job = job
        self._document = job.part.document
        self._name = PurePosixPath(unquote(urlsplit(job.part.uri).path)).name

    async def run(self) -> RepairOutcome:
        """From the hint to the person's answer. Raises RiskError; nothing but an accepted edit changes anything."""
        hint = await self._hint()
        if hint is None:
            return RepairOutcome("cancelled")
        judge = await self._judge()
        result = await self._result(hint, judge.plan)
        self._job.progress.end(result.status)
        words = f"{result.message}; {result.hint}"
        if judge.plan is None:
            words = f"{words} (nothing was run: {judge.why_none})"
        if hint and self._state.settings.repair_provider == "embedded":
            words = f"{words} ({_HINT_UNREAD})"
        return await self._offered(result, f"risk-lsp: {words}")

    async def _hint(self) -> str | None:
        """The person's words; None if they chose to give none after all."""
        if self._job.hint is not None:
            return self._job.hint
        self._job.progress.report("waiting for your hint", 0.0)
        answer = await self._messenger.ask(ASK_HINT, {"uri": self._job.part.uri, "range": self._job.range})
        hint = answer.get("hint") if isinstance(answer, dict) else None
        return hint if isinstance(hint, str) and hint.strip() else None

    async def _judge(self) -> Judge:
        """What judges the repairs, after the person has agreed to it."""
        settings, uri = self._state.settings, self._job.part.uri
        if not settings.trusted:
            return Judge(None, NOT_TRUSTED)
        if settings.repair_tests == "none":
            return Judge(None, "the setting repairTests is none")
        path = to_fs_path(uri) if uri.startswith("file:") and not self._state.documents.is_cell(uri) else None
        if path is None:
            return Judge(None, "this text is not a file of its own")
        self._job.progress.report("looking for tests", 0.0)
        plan = await asyncio.to_thread(self._plan, Path(path), settings.repair_tests)
        if plan is None:
            return Judge(None, "no test file imports it and it has no doctests")
        self._job.progress.report("waiting for your answer about the tests", 0.0)
        answer = await may_run(plan, ConsentStore(self._folder / "tests"), self._messenger)
        if answer == RUN:
            return Judge(plan)
        if answer == NEVER:
            return Judge(None, "you chose to never run its tests; the command riskLsp.forgetTestAnswers ends that")
        return Judge(None, "you chose not to run its tests now")

    def _plan(self, path: Path, tests: str) -> TestPlan | None:
        command = None if tests == "auto" else tests
        return find_tests(path, self._document.text, workspace=self._workspace(path), command=command)

    def _workspace(self, path: Path) -> Path | None:
        """The innermost folder of the client's workspace that holds the file."""
        workspace = self._messenger.workspace
        uris = [folder.uri for folder in workspace.folders.values()]
        uris += [workspace.root_uri] if workspace.root_uri else []
        folders = [Path(folder) for uri in uris if (folder := to_fs_path(uri))]
        holding = [folder for folder in folders if path.is_relative_to(folder)]
        return max(holding, key=lambda folder: len(folder.parts), default=None)

    async def _result(self, hint: str, plan: TestPlan | None) -> RepairResult:
        settings, progress = self._state.settings, self._job.progress
        budget = Budget(settings.repair_tokens, settings.repair_executions, settings.repair_seconds)
        text, language = self._document.text, self._document.language_id
        request = RepairRequest(text, language, self._job.span, hint, self._name, budget=budget)
        store = await asyncio.to_thread(self._store, request)
        async with provider_of(self._state, self._messenger) as provider:
            try:
                return await repair(
                    request,
                    WorkerModel(self._state.host.ask),
                    provider,
                    tests=plan,
                    store=store,
                    on_progress=lambda now: progress.report(now.stage, now.done),
                )
            except SandboxError as error:
                raise RepairError(error.message, f"{error.hint}; or set repairTests to none") from error

    def _store(self, request: RepairRequest) -> TreeStore:
        """Where the record is kept. An old one is not gone on from: the tests may say something else by now."""
        folder = self._folder / "repairs"
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        store = RepairRecord.in_folder(folder, request)
        with contextlib.suppress(OSError):
            store.path.unlink(missing_ok=True)
        return store

    # The offer

    async def _offered(self, result: RepairResult, words: str) -> RepairOutcome:
        if result.status == "passing":
            return RepairOutcome("passing", words)
        if not result.offers:
            return RepairOutcome("not found", words)
        client = self._state.client
        if not client.apply_edit:
            diff = unified_diff(self._document.text, result.offers[0].text, self._name)
            return RepairOutcome("shown", f"{words}. This editor takes no edits from a server; the change is\n{diff}")
        if not self._is_newest():
            return OUTDATED
        self._job.stage = Stage.OFFERING
        if client.annotates_edits:
            self._messenger.tell(types.MessageType.Info, words)
            edit = annotated_edit(self._state, self._document, result.offers[0], title_of(result), words)
            return await self._applied(edit, result)
        if not await is_accepted(self._messenger, self._document, result.offers[0], self._name, words):
            return RepairOutcome("discarded")
        if not self._is_newest():
            return OUTDATED
        return await self._applied(plain_edit(self._state, self._document, result.offers[0]), result)

    async def _applied(self, edit: types.WorkspaceEdit, result: RepairResult) -> RepairOutcome:
        self._job.stage = Stage.APPLYING
        params = types.ApplyWorkspaceEditParams(edit, title_of(result))
        answer: Any = await self._messenger.ask(types.WORKSPACE_APPLY_EDIT, params)
        if answer is not None and answer.applied:
            return RepairOutcome("applied")
        return RepairOutcome("discarded") if self._is_newest() else OUTDATED

    def _is_newest(self) -> bool:
        return self._state.documents.is_newest(self._document)
