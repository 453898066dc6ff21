"""What a person is asked about a repair: consent to run tests, and whether to take the edit."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lsprotocol import types

from risk_lsp.errors import RiskError
from risk_lsp.repair.request import Offer, RepairResult, unified_diff
from risk_lsp.repair.test_plan import TestPlan
from risk_lsp.repair.tree import Replacement
from risk_lsp.risk.presentation import percent
from risk_lsp.server.state import State
from risk_lsp.server.wire.convert import range_of
from risk_lsp.server.wire.messenger import Messenger
from risk_lsp.text.document import Document, Part
from risk_lsp.text.spans import Span

RUN, NOT_NOW, NEVER = "Run", "Not now", "Never"

logger = logging.getLogger(__name__)


class ConsentStore:
    """The answers that hold for good: one small file for each plan, named by its identity, without its command."""

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
        """Ask about every command again; how many answers there were."""
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


async def may_run(plan: TestPlan, store: ConsentStore, messenger: Messenger) -> str:
    """RUN if these tests may be run, else NOT_NOW or NEVER; asks the person where no answer is remembered."""
    known = store.answer(plan)
    if known is not None:
        return known
    words = (
        f"risk-lsp: may tests judge the repairs of {plan.place}? They run in a sandbox, on a copy of {plan.root},"
        f" without a network. The command: {plan.command}"
    )
    actions = [types.MessageActionItem(title) for title in (RUN, NOT_NOW, NEVER)]
    params = types.ShowMessageRequestParams(types.MessageType.Warning, words, actions)
    try:
        chosen = await messenger.ask(types.WINDOW_SHOW_MESSAGE_REQUEST, params)
    except RiskError:
        return NOT_NOW  # a client that cannot ask
    answer = chosen.title if chosen is not None else NOT_NOW
    if answer in (RUN, NEVER):
        store.remember(plan, answer)
    return answer if answer in (RUN, NEVER) else NOT_NOW


APPLY, DISCARD = "Apply", "Discard"
_ANNOTATION = "repair"
_DIFF_LINES = 40  # more do not fit into a message


def title_of(result: RepairResult) -> str:
    """What the change is, in a few words."""
    offer = result.offers[0]
    kind = "Repair that passes the tests" if result.status == "repaired" else "Suggestion, no tests were run"
    return f"{kind} (risk {percent(offer.risk_before)} -> {percent(offer.risk_after)})"


def annotated_edit(state: State, document: Document, offer: Offer, title: str, words: str) -> types.WorkspaceEdit:
    """The edit for a client that has each change confirmed by the person."""
    changes: list[Any] = [
        types.TextDocumentEdit(
            types.OptionalVersionedTextDocumentIdentifier(part.uri, part.version),
            [types.AnnotatedTextEdit(_ANNOTATION, _range(state, part, edit), edit.text) for edit in edits],
        )
        for part, edits in _by_part(state, document, offer.edits)
    ]
    annotation = types.ChangeAnnotation(title, needs_confirmation=True, description=words)
    return types.WorkspaceEdit(document_changes=changes, change_annotations={_ANNOTATION: annotation})


def plain_edit(state: State, document: Document, offer: Offer) -> types.WorkspaceEdit:
    """The edit for any other client, of the version that it shows if it can check that."""
    parts = [
        (part, [types.TextEdit(_range(state, part, edit), edit.text) for edit in edits])
        for part, edits in _by_part(state, document, offer.edits)
    ]
    if not state.client.document_changes:
        return types.WorkspaceEdit({part.uri: edits for part, edits in parts})
    return types.WorkspaceEdit(
        document_changes=[
            types.TextDocumentEdit(types.OptionalVersionedTextDocumentIdentifier(part.uri, part.version), edits)
            for part, edits in parts
        ]
    )


async def is_accepted(messenger: Messenger, document: Document, offer: Offer, name: str, words: str) -> bool:
    """Show the diff and ask; False if the person does not want it."""
    lines = unified_diff(document.text, offer.text, name).splitlines()
    if len(lines) > _DIFF_LINES:
        lines = [*lines[:_DIFF_LINES], f"... and {len(lines) - _DIFF_LINES} more lines"]
    actions = [types.MessageActionItem(APPLY), types.MessageActionItem(DISCARD)]
    text = "\n".join([*lines, "", words])  # clients put their choices, and some a colon, behind it
    params = types.ShowMessageRequestParams(types.MessageType.Info, text, actions)
    chosen = await messenger.ask(types.WINDOW_SHOW_MESSAGE_REQUEST, params)
    return chosen is not None and bool(chosen.title == APPLY)


def _by_part(state: State, document: Document, edits: Sequence[Replacement]) -> list[tuple[Part, list[Replacement]]]:
    """The edits by what the client knows as a text of its own. Raises RiskError for one that lies in two cells."""
    found: dict[str, tuple[Part, list[Replacement]]] = {}
    parts = state.documents.parts(document)
    for edit in edits:
        first, last = document.lines.line_of(edit.start), document.lines.line_of(edit.end)
        part = next((each for each in parts if first in each.lines and last in each.lines), None)
        if part is None:
            raise RiskError("the repair changes what lies between two cells", "ask for a part of one cell")
        found.setdefault(part.uri, (part, []))[1].append(edit)
    return list(found.values())


def _range(state: State, part: Part, edit: Replacement) -> types.Range:
    return range_of(part, Span(edit.start, edit.end), state.encoding)
