"""Which tests judge a repair, and whether the person lets them run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from lsprotocol import types
from pygls.uris import to_fs_path

from risk_lsp.errors import RiskError
from risk_lsp.repair.test_plan import TestPlan, find_tests
from risk_lsp.server.features.code_actions import NOT_TRUSTED
from risk_lsp.server.repair.queue import RepairJob
from risk_lsp.server.state import State
from risk_lsp.server.wire.messenger import Messenger

RUN, NOT_NOW, NEVER = "Run", "Not now", "Never"

logger = logging.getLogger(__name__)


class Judge(NamedTuple):
    """The tests to run, or why nothing is run."""

    plan: TestPlan | None
    why_none: str = ""


async def find_judge(job: RepairJob, state: State, messenger: Messenger, store: ConsentStore) -> Judge:
    """Find the tests of the text that is repaired, and ask the person, once, whether they may run."""
    settings, uri = state.settings, job.part.uri
    if not settings.trusted:
        return Judge(None, NOT_TRUSTED)
    if settings.repair_tests == "none":
        return Judge(None, "the setting repairTests is none")
    name = to_fs_path(uri) if uri.startswith("file:") and not state.documents.is_cell(uri) else None
    if name is None:
        return Judge(None, "this text is not a file of its own")
    job.progress.report("looking for tests", 0.0)
    path = Path(name)
    command = None if settings.repair_tests == "auto" else settings.repair_tests
    workspace = _workspace_of(path, messenger)
    text = job.part.document.text
    plan = await asyncio.to_thread(find_tests, path, text, workspace=workspace, command=command)
    if plan is None:
        return Judge(None, "no test file imports it and it has no doctests")
    job.progress.report("waiting for your answer about the tests", 0.0)
    answer = store.answer(plan)
    if answer is None:
        answer = await _ask_for_consent(plan, messenger)
        if answer != NOT_NOW:
            store.remember(plan, answer)
    if answer == RUN:
        return Judge(plan)
    if answer == NEVER:
        return Judge(None, "you chose to never run its tests; the command riskLsp.forgetTestAnswers ends that")
    return Judge(None, "you chose not to run its tests now")


def _workspace_of(path: Path, messenger: Messenger) -> Path | None:
    """The innermost folder of the client's workspace that holds the file."""
    workspace = messenger.workspace
    uris = [folder.uri for folder in workspace.folders.values()]
    uris += [workspace.root_uri] if workspace.root_uri else []
    folders = [Path(folder) for uri in uris if (folder := to_fs_path(uri))]
    holding = [folder for folder in folders if path.is_relative_to(folder)]
    return max(holding, key=lambda folder: len(folder.parts), default=None)


async def _ask_for_consent(plan: TestPlan, messenger: Messenger) -> str:
    """RUN, NOT_NOW or NEVER, as the person answers; NOT_NOW for a client that cannot ask."""
    words = (
        f"risk-lsp: may tests judge the repairs of {plan.place}? They run in a sandbox, on a copy of {plan.root},"
        f" without a network. The command: {plan.command}"
    )
    actions = [types.MessageActionItem(title) for title in (RUN, NOT_NOW, NEVER)]
    params = types.ShowMessageRequestParams(types.MessageType.Warning, words, actions)
    try:
        chosen = await messenger.ask(types.WINDOW_SHOW_MESSAGE_REQUEST, params)
    except RiskError:
        return NOT_NOW
    return chosen.title if chosen is not None and chosen.title in (RUN, NEVER) else NOT_NOW


class ConsentStore:
    """The answers that are remembered: a small file for each plan, named by its identity; it has no command in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def answer(self, plan: TestPlan) -> str | None:
        """RUN, NEVER, or None where nothing is remembered."""
        try:
            answer = self._path(plan).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return None
        return answer if answer in (RUN, NEVER) else None

    def remember(self, plan: TestPlan, answer: str) -> None:
        """Keep an answer. One that cannot be written down is asked for again the next time."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=".new-")
            try:
                with os.fdopen(descriptor, "w", encoding="ascii") as file:
                    file.write(answer)
                os.replace(name, self._path(plan))
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise
        except OSError as error:
            logger.warning("the answer about tests could not be kept in %s: %s", self._folder, error.strerror)

    def forget_all(self) -> int:
        """Ask about every command again; returns how many answers there were."""
        try:
            answers = [path for path in self._folder.iterdir() if not path.name.startswith(".")]
            for path in answers:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise RiskError(
                f"{self._folder} cannot be changed: {error.strerror}", "remove the folder yourself"
            ) from None
        return len(answers)

    def _path(self, plan: TestPlan) -> Path:
        return self._folder / plan.identity
