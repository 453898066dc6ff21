"""The offer of a repair: the edit, and the person who accepts it or not."""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from risk_lsp.errors import RiskError
from risk_lsp.repair.request import Offer, RepairResult, unified_diff
from risk_lsp.risk.presentation import percent
from risk_lsp.server.repair.queue import OUTDATED, RepairJob, RepairOutcome, Stage
from risk_lsp.server.state import State
from risk_lsp.server.wire.convert import range_of
from risk_lsp.server.wire.messenger import Messenger
from risk_lsp.text.document import Document, Part
from risk_lsp.text.spans import Span

APPLY, DISCARD = "Apply", "Discard"
_ANNOTATION = "repair"
_DIFF_LINES = 40  # more do not fit into a message


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
    elif not await _is_accepted(messenger, diff, words):
        return RepairOutcome("discarded")
    if not state.documents.is_newest(document):
        return OUTDATED
    params = types.ApplyWorkspaceEditParams(_edit_of(state, document, offer, annotation), title)
    job.stage = Stage.APPLYING
    answer: Any = await messenger.ask(types.WORKSPACE_APPLY_EDIT, params)
    if answer is not None and answer.applied:
        return RepairOutcome("applied")
    return RepairOutcome("discarded") if state.documents.is_newest(document) else OUTDATED


async def _is_accepted(messenger: Messenger, diff: str, words: str) -> bool:
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
