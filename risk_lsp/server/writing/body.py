"""Writes the body of a function: shown as it grows, and confirmed by the person before it is in the text."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcRequestCancelled

from risk_lsp.errors import RiskError
from risk_lsp.repair.workbench import unified_diff
from risk_lsp.risk.span_risk import WritingTask, WrittenText
from risk_lsp.server.repair.dialogs import is_accepted
from risk_lsp.server.wire.convert import range_of, span_of
from risk_lsp.server.wire.messenger import WorkDoneProgress
from risk_lsp.server.writing.inline_completion import accept_written
from risk_lsp.server.writing.suggestions import Suggestion
from risk_lsp.text.document import Part, Span
from risk_lsp.text.extents import body_place

if TYPE_CHECKING:
    from risk_lsp.server.session import Session

_TEXTS = 3
_MOST_TOKENS = 256
_SECONDS = 55.0  # less than a question to the worker may take
_LINES = 12  # about as many make a whole bar
_ANNOTATION = "body"


def write_body(session: Session, uri: str, place: types.Range, token: int | str | None) -> Any:
    """Write the body of the function at a place, which has none; an edit meanwhile ends that.

    A request with a progress token is answered when all is done, any other one at once.
    """
    completions, part = session.inline_completions, session.questions.part_of(uri)
    if (reason := completions.reason_not(part)) is not None:
        raise RiskError(f"nothing is written: {reason}", "see docs/writing.md")
    document = part.document
    offset = span_of(part, place, session.state.encoding).start
    where = body_place(document.text, offset) if document.language_id == "python" else None
    if where is None:
        raise RiskError("there is no function without a body", "choose one that has a header, and a docstring or pass")
    supported = session.state.client.work_done_progress
    progress = WorkDoneProgress("risk-lsp writes", session.messenger, supported=supported, token=token)

    def show(text: str) -> None:
        lines = text.strip().splitlines()
        progress.report(lines[-1].strip() if lines else "writing", min(0.95, len(lines) / _LINES))

    task = WritingTask(document.text, *where, "function", document.language_id, count=_TEXTS, max_tokens=_MOST_TOKENS)
    writing = completions.begin(task, show, _SECONDS)
    completions.shown[progress.token] = writing
    working = asyncio.get_running_loop().create_task(_finished(session, part, where, writing, progress))
    if token is None:
        working.add_done_callback(lambda done: done.cancelled() or done.exception())
        return {"status": "started", "token": progress.token}
    session.messenger.protocol.when_cancelled(writing.cancel)
    return working


async def _finished(
    session: Session, part: Part, where: Span, writing: asyncio.Task[list[WrittenText]], progress: WorkDoneProgress
) -> dict[str, str]:
    """What came of it: {status, message}. JsonRpcRequestCancelled where it was given up."""
    await asyncio.wait([writing])
    session.inline_completions.shown.pop(progress.token, None)
    status = "failed"
    try:
        if writing.cancelled():
            raise JsonRpcRequestCancelled("the writing was cancelled, and nothing was changed")
        error = writing.exception()
        if error is not None:
            words = f"nothing was written: {error if isinstance(error, RiskError) else 'it took too long'}"
        elif found := session.inline_completions.offer(part, where, writing.result()):
            status, words = await _offered(session, part, found[0])
        else:
            status, words = "not found", "nothing was written that is worth showing"
    finally:
        progress.end(status)
    if status not in ("applied", "discarded"):
        session.messenger.tell(types.MessageType.Info, f"risk-lsp: {words}")
    return {"status": status, "message": words}


async def _offered(session: Session, part: Part, suggestion: Suggestion) -> tuple[str, str]:
    """Have the person confirm a text, and apply it. RiskError if the client refuses a request."""
    state, document = session.state, part.document
    words = suggestion.words(state.settings.threshold)
    diff = unified_diff(document.text, suggestion.after.text, "body")
    if not state.client.apply_edit:
        return "shown", f"{words}. This editor takes no edits from a server; the text is\n{suggestion.written.text}"
    annotates = state.client.annotates_edits
    if not annotates and not await is_accepted(session.messenger, diff, words):
        return "discarded", words
    if not state.documents.is_newest(document):
        return "outdated", "the text changed meanwhile, so nothing was applied"
    place = range_of(part, suggestion.replaced, state.encoding)
    edit: Any = types.TextEdit(place, suggestion.written.text)
    annotations = None
    if annotates:
        edit = types.AnnotatedTextEdit(_ANNOTATION, place, suggestion.written.text)
        annotations = {_ANNOTATION: types.ChangeAnnotation(words, needs_confirmation=True)}
    if state.client.document_changes:
        identifier = types.OptionalVersionedTextDocumentIdentifier(part.uri, part.version)
        change = types.WorkspaceEdit(
            document_changes=[types.TextDocumentEdit(identifier, [edit])], change_annotations=annotations
        )
    else:
        change = types.WorkspaceEdit({part.uri: [edit]})
    answer = await session.messenger.ask(
        types.WORKSPACE_APPLY_EDIT, types.ApplyWorkspaceEditParams(change, "Write the body")
    )
    if answer is None or not answer.applied:
        return "discarded", words
    accept_written(session, part.uri, suggestion.id)
    return "applied", words
