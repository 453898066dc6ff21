"""Code actions on lines that are shown, and on lines that are ignored."""

from __future__ import annotations

from collections.abc import Sequence

from lsprotocol import types

from risk_lsp.server.convert import edit_inserting
from risk_lsp.server.diagnostics import CODE, SOURCE
from risk_lsp.server.state import State
from risk_lsp.text.comments import ignoring_comment
from risk_lsp.text.parts import Part

IGNORE_LINE = "riskLsp.ignoreLine"
STOP_IGNORING = "riskLsp.stopIgnoring"

Action = types.CodeAction | types.Command


def code_actions(state: State, params: types.CodeActionParams) -> list[Action]:
    """What can be done about the diagnostics at a place, or about its being ignored."""
    part = state.documents.part(params.text_document.uri)
    only = params.context.only
    if part is None or (only is not None and not any(_includes_quick_fixes(kind) for kind in only)):
        return []
    ours = [each for each in params.context.diagnostics if (each.source, each.code) == (SOURCE, CODE)]
    actions = [action for diagnostic in ours for action in _ignoring(state, part, diagnostic)]
    line = params.range.start.line
    if not ours and line < part.line_count and part.first_line + line in state.store.lines(part.document):
        title = "Stop ignoring this line"
        command = types.Command(title, STOP_IGNORING, None, [part.uri, line])
        actions.append(types.CodeAction(title, types.CodeActionKind.QuickFix, command=command))
    return [action if state.client.code_action_literals else _as_command(action) for action in actions]


def _ignoring(state: State, part: Part, diagnostic: types.Diagnostic) -> list[types.CodeAction]:
    line = diagnostic.range.start.line
    if line >= part.line_count:
        return []
    actions = []
    insertion = ignoring_comment(part.document, part.first_line + line)
    if insertion is not None:
        title = "Ignore this line (comment)"
        edit = edit_inserting(part, insertion, state.encoding, state.client.document_changes)
        action = types.CodeAction(title, types.CodeActionKind.QuickFix, [diagnostic], edit=edit)
        action.data = [part.uri, line, "source"]
        actions.append(action)
    title = "Ignore this line (remember)"
    command = types.Command(title, IGNORE_LINE, None, [part.uri, line, "stored"])
    actions.append(types.CodeAction(title, types.CodeActionKind.QuickFix, [diagnostic], command=command))
    return actions


def _as_command(action: types.CodeAction) -> types.Command:
    """For clients from before there were code actions."""
    if action.command is not None:
        return action.command
    assert isinstance(action.data, Sequence)
    return types.Command(action.title, IGNORE_LINE, None, list(action.data))


def _includes_quick_fixes(kind: str) -> bool:
    return kind in ("", types.CodeActionKind.QuickFix.value)
