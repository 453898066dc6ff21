"""Code actions on lines that are shown, and on lines that are ignored."""

from __future__ import annotations

from collections.abc import Sequence

from lsprotocol import types

from risk_lsp.server.convert import edit_inserting
from risk_lsp.server.diagnostics import CODE, SOURCE
from risk_lsp.server.repair_menu import repair_actions
from risk_lsp.server.state import State
from risk_lsp.text.comments import ignoring_comment
from risk_lsp.text.parts import Part

IGNORE_LINE = "riskLsp.ignoreLine"
STOP_IGNORING = "riskLsp.stopIgnoring"

Action = types.CodeAction | types.Command


def code_actions(state: State, params: types.CodeActionParams) -> list[Action]:
    """What can be done about the diagnostics at a place, or about its being ignored."""
    part = state.documents.part(params.text_document.uri)
    if part is None:
        return []
    ours = [each for each in params.context.diagnostics if (each.source, each.code) == (SOURCE, CODE)]
    # What answers a risk comes before what hides it: clients keep this order within a kind.
    actions = repair_actions(state, part, params, ours)
    actions += [action for diagnostic in ours for action in _ignoring(state, part, diagnostic)]
    line = params.range.start.line
    if not ours and line < part.line_count and part.first_line + line in state.store.lines(part.document):
        title = "Stop ignoring this line"
        command = types.Command(title, STOP_IGNORING, None, [part.uri, line])
        actions.append(types.CodeAction(title, types.CodeActionKind.QuickFix, command=command))
    wanted = [action for action in actions if _is_wanted(action, params.context.only)]
    return [action if state.client.code_action_literals else _as_command(action) for action in wanted]


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


def _is_wanted(action: types.CodeAction, only: Sequence[str] | None) -> bool:
    """Kinds are a hierarchy: "refactor" asks for "refactor.rewrite", too, and "" for all."""
    kind = str(action.kind.value if isinstance(action.kind, types.CodeActionKind) else action.kind)
    return only is None or any(asked == "" or f"{kind}.".startswith(f"{asked}.") for asked in only)
