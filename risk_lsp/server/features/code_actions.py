"""Code actions: request a repair or an explanation of what is risky, ignore a line or stop ignoring it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from lsprotocol import types

from risk_lsp.server.command_table import (
    EXPLAIN,
    IGNORE_LINE,
    REPAIR,
    REPAIR_WITH_HINT,
    STOP_IGNORING,
    WRITE_BODY,
    WRITE_BODY_WITH_HINT,
)
from risk_lsp.server.documents.analysis import Analysis
from risk_lsp.server.documents.ignored_lines import ignoring_comment
from risk_lsp.server.documents.open_documents import reason_not_scored
from risk_lsp.server.documents.publisher import CODE, SOURCE
from risk_lsp.server.state import State
from risk_lsp.server.wire.convert import edit_inserting, offset_of, range_of
from risk_lsp.text.document import Part
from risk_lsp.text.extents import body_place

REPAIRED_LANGUAGE = "python"
NOT_TRUSTED = "this workspace is not trusted"


class RepairTarget(NamedTuple):
    """What an action is about: words for it, where it is, and our diagnostic of it."""

    name: str
    range: types.Range
    kind: types.CodeActionKind
    diagnostic: types.Diagnostic | None = None


def repair_actions(
    state: State, part: Part, params: types.CodeActionParams, ours: list[types.Diagnostic]
) -> list[types.CodeAction]:
    """The actions at a place: for the selection, else for the line that is pointed at and the function around."""
    if reason_not_scored(part.document, state.settings_of(part.document)) is not None:
        return []
    actions = []
    limits = "" if state.settings.trusted else f" (runs no tests: {NOT_TRUSTED})"
    for target in _targets(state, part, params.range, ours):
        if part.document.language_id == REPAIRED_LANGUAGE:
            title = f"Request a repair of {target.name}{limits}"
            actions.append(_action(title, REPAIR, part, target))
            if "hint" in state.client.offers:
                title = f"Request a repair of {target.name} with a hint...{limits}"
                actions.append(_action(title, REPAIR_WITH_HINT, part, target))
        actions.append(_action(f"Explain the risk of {target.name}", EXPLAIN, part, target))
    return actions


def _targets(state: State, part: Part, place: types.Range, ours: list[types.Diagnostic]) -> Iterator[RepairTarget]:
    # Where a cursor is as wide as a character, its place is no selection.
    start, end = (offset_of(part, position, state.encoding) for position in (place.start, place.end))
    if end - start > 1 and all(place != diagnostic.range for diagnostic in ours):
        yield RepairTarget("the selection", place, types.CodeActionKind.RefactorRewrite)
        return
    at_line = next((each for each in ours if each.range.start.line == place.start.line), None)
    if at_line is not None:
        yield RepairTarget("this line", at_line.range, types.CodeActionKind.QuickFix, at_line)
    function = _function(state, part, place.start)
    if function is not None:
        yield function


def _function(state: State, part: Part, position: types.Position) -> RepairTarget | None:
    """The function at a position, if its risk is worth a word; only what is known of the newest text counts."""
    analysis = state.analyzer.outcome(part.document)
    if not isinstance(analysis, Analysis) or analysis.document is not part.document or state.snooze.is_on:
        return None
    threshold = state.settings_of(part.document).threshold
    node = analysis.layout.structure.enclosing_function(offset_of(part, position, state.encoding))
    if node is None or analysis.risks.probability(node.span.start, node.span.end) < threshold:
        return None
    place = range_of(part, node.span, state.encoding)
    return RepairTarget(f"{node.kind} {node.name}", place, types.CodeActionKind.RefactorRewrite)


def _action(title: str, command: str, part: Part, target: RepairTarget) -> types.CodeAction:
    diagnostics = [target.diagnostic] if target.diagnostic else None
    call = types.Command(title, command, None, [part.uri, _plain(target.range)])
    return types.CodeAction(title, target.kind, diagnostics, command=call)


def _plain(place: types.Range) -> dict[str, Any]:
    ends = (("start", place.start), ("end", place.end))
    return {name: {"line": position.line, "character": position.character} for name, position in ends}


Action = types.CodeAction | types.Command


def code_actions(state: State, params: types.CodeActionParams) -> list[Action]:
    """What can be done about the diagnostics at a place, or about its being ignored."""
    part = state.documents.part(params.text_document.uri)
    if part is None:
        return []
    ours = [each for each in params.context.diagnostics if (each.source, each.code) == (SOURCE, CODE)]
    # What answers a risk comes before what hides it: clients keep this order within a kind.
    actions = repair_actions(state, part, params, ours) + _writing(state, part, params.range)
    actions += [action for diagnostic in ours for action in _ignoring(state, part, diagnostic)]
    line = params.range.start.line
    if not ours and line < part.line_count and part.first_line + line in state.store.lines(part.document):
        title = "Stop ignoring this line"
        command = types.Command(title, STOP_IGNORING, None, [part.uri, line])
        actions.append(types.CodeAction(title, types.CodeActionKind.QuickFix, command=command))
    only, wanted = params.context.only, list[Action]()
    for action in actions:
        # Kinds are a hierarchy: "refactor" asks for "refactor.rewrite", too, and "" for all.
        kind = str(action.kind.value if isinstance(action.kind, types.CodeActionKind) else action.kind)
        if only is not None and not any(asked == "" or f"{kind}.".startswith(f"{asked}.") for asked in only):
            continue
        if state.client.code_action_literals:
            wanted.append(action)
        elif action.command is not None:  # for clients from before there were code actions
            wanted.append(action.command)
        else:
            assert isinstance(action.data, Sequence)
            wanted.append(types.Command(action.title, IGNORE_LINE, None, list(action.data)))
    return wanted


def _writing(state: State, part: Part, place: types.Range) -> list[types.CodeAction]:
    """The actions that write the body of the function at a place, if it has none and the model may write."""
    if not state.settings.inline_completion or part.document.language_id != REPAIRED_LANGUAGE:
        return []
    if body_place(part.document.text, offset_of(part, place.start, state.encoding)) is None:
        return []
    offered = [("Write the body", WRITE_BODY)]
    if "hint" in state.client.offers:
        offered.append(("Write the body with a hint...", WRITE_BODY_WITH_HINT))
    calls = [types.Command(title, command, None, [part.uri, _plain(place)]) for title, command in offered]
    return [types.CodeAction(call.title, types.CodeActionKind.RefactorRewrite, command=call) for call in calls]


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
