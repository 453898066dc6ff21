"""A repair as an edit that a person accepts or not: annotated where the client confirms edits, else after a diff."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lsprotocol import types

from risk_lsp.errors import RiskError
from risk_lsp.repair.result import Offer, RepairResult, unified_diff
from risk_lsp.repair.tree import Replacement
from risk_lsp.risk.percent import percent
from risk_lsp.server.convert import range_of
from risk_lsp.server.endpoint import Endpoint
from risk_lsp.server.state import State
from risk_lsp.text.document import Document
from risk_lsp.text.parts import Part
from risk_lsp.text.spans import Span

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


async def is_accepted(endpoint: Endpoint, document: Document, offer: Offer, name: str, words: str) -> bool:
    """Show the diff and ask; False if the person does not want it."""
    lines = unified_diff(document.text, offer.text, name).splitlines()
    if len(lines) > _DIFF_LINES:
        lines = [*lines[:_DIFF_LINES], f"... and {len(lines) - _DIFF_LINES} more lines"]
    actions = [types.MessageActionItem(APPLY), types.MessageActionItem(DISCARD)]
    text = "\n".join([*lines, "", words])  # clients put their choices, and some a colon, behind it
    params = types.ShowMessageRequestParams(types.MessageType.Info, text, actions)
    chosen = await endpoint.ask(types.WINDOW_SHOW_MESSAGE_REQUEST, params)
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
