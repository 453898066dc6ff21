"""Code actions for what is risky: request a repair, with a hint or without, or have the risk explained.

The menu costs nothing: it names what is known already, and a command does the work once it is chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from lsprotocol import types

from risk_lsp.server.analysis import Analysis
from risk_lsp.server.convert import offset_of, range_of
from risk_lsp.server.limits import reason_not_scored
from risk_lsp.server.state import State
from risk_lsp.text.parts import Part

REPAIR = "riskLsp.repair"
REPAIR_WITH_HINT = "riskLsp.repairWithHint"
EXPLAIN = "riskLsp.explain"
REPAIRED_LANGUAGE = "python"
NOT_TRUSTED = "this workspace is not trusted"


class Target(NamedTuple):
    """What an action is about: words for it, where it is, and our diagnostic of it."""

    name: str
    range: types.Range
    kind: types.CodeActionKind
    diagnostic: types.Diagnostic | None = None


def repair_actions(
    state: State, part: Part, params: types.CodeActionParams, ours: list[types.Diagnostic]
) -> list[types.CodeAction]:
    """The actions at a place: for the selection, else for the line that is pointed at and the function around."""
    if not state.settings.enabled or reason_not_scored(part.document, state.settings) is not None:
        return []
    return [action for target in _targets(state, part, params.range, ours) for action in _all_of(state, part, target)]


def _targets(state: State, part: Part, place: types.Range, ours: list[types.Diagnostic]) -> Iterator[Target]:
    if _is_selection(state, part, place) and all(place != diagnostic.range for diagnostic in ours):
        yield Target("the selection", place, types.CodeActionKind.RefactorRewrite)
        return
    at_line = next((each for each in ours if each.range.start.line == place.start.line), None)
    if at_line is not None:
        yield Target("this line", at_line.range, types.CodeActionKind.QuickFix, at_line)
    function = _function(state, part, place.start)
    if function is not None:
        yield function


def _is_selection(state: State, part: Part, place: types.Range) -> bool:
    """Whether a person selected something; where a cursor is as wide as a character, its place is no selection."""
    start, end = (offset_of(part, position, state.encoding) for position in (place.start, place.end))
    return end - start > 1


def _function(state: State, part: Part, position: types.Position) -> Target | None:
    """The function at a position, if its risk is worth a word; only what is known of the newest text counts."""
    analysis = state.analyzer.outcome(part.document)
    if not isinstance(analysis, Analysis) or analysis.document is not part.document or state.snooze.is_on:
        return None
    node = analysis.structure.enclosing_function(offset_of(part, position, state.encoding))
    if node is None or analysis.risks.probability(node.span.start, node.span.end) < state.settings.threshold:
        return None
    place = range_of(part, node.span, state.encoding)
    return Target(f"{node.kind} {node.name}", place, types.CodeActionKind.RefactorRewrite)


def _all_of(state: State, part: Part, target: Target) -> Iterator[types.CodeAction]:
    if _is_repaired(part):
        title = f"Request a repair of {target.name}{_why_nothing_runs(state)}"
        yield _action(title, REPAIR, part, target)
        if "hint" in state.client.offers:
            title = f"Request a repair of {target.name} with a hint...{_why_nothing_runs(state)}"
            yield _action(title, REPAIR_WITH_HINT, part, target)
    yield _action(f"Explain the risk of {target.name}", EXPLAIN, part, target)


def _why_nothing_runs(state: State) -> str:
    return "" if state.settings.trusted else f" (runs no tests: {NOT_TRUSTED})"


def _is_repaired(part: Part) -> bool:
    return part.document.language_id == REPAIRED_LANGUAGE


def _action(title: str, command: str, part: Part, target: Target) -> types.CodeAction:
    diagnostics = [target.diagnostic] if target.diagnostic else None
    call = types.Command(title, command, None, [part.uri, _plain(target.range)])
    return types.CodeAction(title, target.kind, diagnostics, command=call)


def _plain(place: types.Range) -> dict[str, Any]:
    ends = (("start", place.start), ("end", place.end))
    return {name: {"line": position.line, "character": position.character} for name, position in ends}
