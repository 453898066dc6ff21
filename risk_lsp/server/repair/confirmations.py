"""What a person is asked about a repair: whether tests may judge it, and whether they take the edit."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any, NamedTuple

from lsprotocol import types

from risk_lsp.errors import RiskError
from risk_lsp.files import write_whole
from risk_lsp.repair.test_plan import TestPlan, find_tests
from risk_lsp.repair.workbench import Offer, RepairResult, unified_diff
from risk_lsp.risk.presentation import percent
from risk_lsp.server.features.code_actions import NOT_TRUSTED
from risk_lsp.server.repair.queue import OUTDATED, RepairJob, RepairOutcome, Stage
from risk_lsp.server.state import State
from risk_lsp.server.wire.convert import path_of, range_of
from risk_lsp.server.wire.messenger import Messenger
from risk_lsp.text.document import Document, Part, Span

RUN, NOT_NOW, NEVER = "Run", "Not now", "Never"
APPLY, DISCARD = "Apply", "Discard"
_ANNOTATION = "repair"
_DIFF_LINES = 40  # more do not fit into a message

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
    name = None if state.documents.is_cell(uri) else path_of(uri)
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
    holding = [folder for folder in messenger.folders if path.is_relative_to(folder)]
    return max(holding, key=lambda folder: len(folder.parts), default=None)


async def _ask_for_consent(plan: TestPlan, messenger: Messenger) -> str:
    """RUN, NOT_NOW or NEVER, as the person answers; NOT_NOW for a client that cannot ask."""
    words = (
        f"risk-lsp: may tests judge the repairs of {plan.place}? They run in a sandbox, on a copy of {plan.root},"
        f" without a network. The command: {plan.command}"
    )
    try:
        return await messenger.ask_for_consent(words, (RUN, NEVER, NOT_NOW)) or NOT_NOW
    except RiskError:
        return NOT_NOW


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
            write_whole(self._path(plan), answer.encode("ascii"))
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


async def offer_repair(
    job: RepairJob, state: State, messenger: Messenger, result: RepairResult, name: str, words: str
) -> RepairOutcome:
    """Offer the best repair of a result to the person, and apply it if they accept.

    `name` is the text's in a diff, and `words` say what was found. A client that annotates edits has each change
    confirmed by the person; any other one shows them a diff first. Raises RiskError if the client refuses a request.
    """
    if result.status == "passing":
        return RepairOutcome("passing", words)
    if not result.offers:
        return RepairOutcome("not found", words)
    document, offer = job.part.document, result.offers[0]
    diff = unified_diff(document.text, offer.text, name)
    if not state.client.apply_edit:
        return RepairOutcome("shown", f"{words}. This editor takes no edits from a server; the change is\n{diff}")
    if not state.documents.is_newest(document):
        return OUTDATED
    job.stage = Stage.OFFERING
    kind = "Repair that passes the tests" if result.status == "repaired" else "Suggestion, no tests were run"
    title = f"{kind} (risk {percent(offer.risk_before)} -> {percent(offer.risk_after)})"
    annotation = None
    if state.client.annotates_edits:
        messenger.tell(types.MessageType.Info, words)
        annotation = types.ChangeAnnotation(title, needs_confirmation=True, description=words)
    elif not await is_accepted(messenger, diff, words):
        return RepairOutcome("discarded")
    if not state.documents.is_newest(document):
        return OUTDATED
    params = types.ApplyWorkspaceEditParams(_edit_of(state, document, offer, annotation), title)
    job.stage = Stage.APPLYING
    answer: Any = await messenger.ask(types.WORKSPACE_APPLY_EDIT, params)
    if answer is not None and answer.applied:
        return RepairOutcome("applied")
    return RepairOutcome("discarded") if state.documents.is_newest(document) else OUTDATED


async def is_accepted(messenger: Messenger, diff: str, words: str) -> bool:
    """Show the diff and ask; False if the person does not want it."""
    lines = diff.splitlines()
    if len(lines) > _DIFF_LINES:
        lines = [*lines[:_DIFF_LINES], f"... and {len(lines) - _DIFF_LINES} more lines"]
    actions = [types.MessageActionItem(APPLY), types.MessageActionItem(DISCARD)]
    text = "\n".join([*lines, "", words])  # clients put their choices, and some a colon, behind it
    params = types.ShowMessageRequestParams(types.MessageType.Info, text, actions)
    chosen = await messenger.ask(types.WINDOW_SHOW_MESSAGE_REQUEST, params)
    return chosen is not None and bool(chosen.title == APPLY)


def _edit_of(
    state: State, document: Document, offer: Offer, annotation: types.ChangeAnnotation | None
) -> types.WorkspaceEdit:
    """The edit, of the version that it was made for if the client can check that.

    Raises RiskError for an edit that lies in two cells.
    """
    edits: dict[str, tuple[Part, list[Any]]] = {}  # by what the client knows as a text of its own
    parts = state.documents.parts(document)
    for each in offer.edits:
        first, last = document.lines.line_of(each.start), document.lines.line_of(each.end)
        part = next((part for part in parts if first in part.lines and last in part.lines), None)
        if part is None:
            raise RiskError("the repair changes what lies between two cells", "ask for a part of one cell")
        place = range_of(part, Span(each.start, each.end), state.encoding)
        plain, annotated = types.TextEdit(place, each.text), types.AnnotatedTextEdit(_ANNOTATION, place, each.text)
        edit = plain if annotation is None else annotated
        edits.setdefault(part.uri, (part, []))[1].append(edit)
    if not state.client.document_changes:
        return types.WorkspaceEdit({uri: of_part for uri, (_, of_part) in edits.items()})
    changes = [
        types.TextDocumentEdit(types.OptionalVersionedTextDocumentIdentifier(part.uri, part.version), of_part)
        for part, of_part in edits.values()
    ]
    annotations = None if annotation is None else {_ANNOTATION: annotation}
    return types.WorkspaceEdit(document_changes=changes, change_annotations=annotations)
