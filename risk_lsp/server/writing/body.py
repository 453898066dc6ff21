"""Writes the body of a function: shown as it grows, and confirmed by the person before it is in the text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams, JsonRpcRequestCancelled

from risk_lsp.errors import RiskError
from risk_lsp.repair.workbench import unified_diff
from risk_lsp.risk.span_risk import WritingTask, WrittenText
from risk_lsp.server.command_table import WRITE_BODY_WITH_HINT
from risk_lsp.server.repair.confirmations import is_accepted
from risk_lsp.server.wire.convert import range_of, span_of
from risk_lsp.server.wire.messenger import CONFIRM_PREVIEW, PREVIEW, WorkDoneProgress
from risk_lsp.server.writing.inline_completion import accept
from risk_lsp.server.writing.suggestions import Suggestion
from risk_lsp.text.document import Part, Span
from risk_lsp.text.extents import body_place, hint_comment

if TYPE_CHECKING:
    from risk_lsp.server.session import Session

_TEXTS = 3
_MOST_TOKENS = 256
_SECONDS = 55.0  # less than a question to the worker may take
_SECONDS_TO_HEAR = 2.0
_LINES = 12  # about as many make a whole bar
_ANNOTATION = "body"


def write_body(session: Session, uri: str, place: types.Range, token: int | str | None) -> Any:
    """Write the body of the function at a place, which has none; an edit meanwhile ends that.

    A request with a progress token is answered when all is done, any other one at once.
    """
    part, where = _body_at(session, uri, place)
    progress = _progress(session, token)
    writing = _begin(session, part, where, "", progress)
    return _answer(session, _await_outcome(session, part, where, writing, progress), progress, token)


def write_body_with_hint(
    session: Session, uri: str, place: types.Range, hint: str | None, token: int | str | None
) -> Any:
    """The same, below a comment with a person's hint; a client that can ask the person for it need not send one."""
    if hint is None and "hint" not in session.client.offers:
        raise JsonRpcInvalidParams(f"{WRITE_BODY_WITH_HINT}: expected the hint, a text, as the last argument")
    part, where = _body_at(session, uri, place)
    progress = _progress(session, token)
    progress.report("waiting for your hint", 0.0)
    asking = asyncio.get_running_loop().create_task(_ask_hint(session, uri, place, hint))
    session.inline_completions.shown[progress.token] = asking
    return _answer(session, _write_once_told(session, part, where, asking, progress), progress, token)


def _body_at(session: Session, uri: str, place: types.Range) -> tuple[Part, Span]:
    part = session.questions.part_of(uri)
    if (reason := session.inline_completions.reason_not(part)) is not None:
        raise RiskError(f"nothing is written: {reason}", "see docs/writing.md")
    document = part.document
    offset = span_of(part, place, session.state.encoding).start
    where = body_place(document.text, offset) if document.language_id == "python" else None
    if where is None:
        raise RiskError("there is no function without a body", "choose one that has a header, and a docstring or pass")
    return part, where


def _progress(session: Session, token: int | str | None) -> WorkDoneProgress:
    supported = session.state.client.work_done_progress
    return WorkDoneProgress("risk-lsp writes", session.messenger, supported=supported, token=token)


def _answer(
    session: Session, work: Coroutine[Any, Any, dict[str, str]], progress: WorkDoneProgress, token: int | str | None
) -> Any:
    working = asyncio.get_running_loop().create_task(work)
    if token is None:
        working.add_done_callback(lambda done: done.cancelled() or done.exception())
        return {"status": "started", "token": progress.token}
    session.messenger.protocol.when_cancelled(lambda: session.inline_completions.cancel_shown(progress.token))
    return working


async def _ask_hint(session: Session, uri: str, place: types.Range, given: str | None) -> str | None:
    """The person's words; None if they give none after all."""
    return await session.messenger.ask_hint(uri, place, "body") if given is None else given.strip() or None


async def _write_once_told(
    session: Session, part: Part, where: Span, asking: asyncio.Task[str | None], progress: WorkDoneProgress
) -> dict[str, str]:
    """Write once the person has given a hint."""
    await asyncio.wait([asking])
    session.inline_completions.shown.pop(progress.token, None)
    try:
        hint = None if asking.cancelled() else asking.result()
        if hint is None:
            raise JsonRpcRequestCancelled("no hint was given, and nothing was changed")
        if not session.state.documents.is_newest(part.document):
            raise RiskError("the text changed meanwhile, so nothing was written", "ask again")
        comment = hint_comment(part.document.text, where, hint)
        writing = _begin(session, part, where, comment, progress)
    except Exception:
        progress.end("cancelled")
        raise
    return await _await_outcome(session, part, where, writing, progress)


def _begin(
    session: Session, part: Part, where: Span, comment: str, progress: WorkDoneProgress
) -> asyncio.Task[list[WrittenText]]:
    """Have texts written that begin with the comment, which stands there as if somebody had typed it."""

    def show(text: WrittenText) -> None:
        lines = text.text.strip().splitlines()
        progress.report(lines[-1].strip() if lines else "writing", min(0.95, len(lines) / _LINES))
        if "preview" in session.client.offers:
            suggestion = completions.describe(part, where, text)
            session.messenger.protocol.notify(PREVIEW, _preview(session, part, progress, suggestion))

    document, completions = part.document, session.inline_completions
    behind = where.start + len(comment)
    text = document.text[: where.start] + comment + document.text[where.end :]
    task = WritingTask(
        text, behind, behind, "function", document.language_id, count=_TEXTS, max_tokens=_MOST_TOKENS, tells_lines=True
    )
    if not comment:
        task = replace(task, text=document.text, start=where.start, end=where.end)
    writing = completions.begin(task, show, _SECONDS, opening=comment)
    completions.shown[progress.token] = writing
    return writing


def _preview(session: Session, part: Part, progress: WorkDoneProgress, suggestion: Suggestion) -> dict[str, Any]:
    """A text that is not in the document, for a client that shows it there."""
    encoding = session.state.encoding
    return {
        "token": progress.token,
        "uri": part.uri,
        "version": part.version,
        "range": range_of(part, suggestion.replaced, encoding),
        "text": suggestion.written.text,
        "risk": suggestion.to_json(session.state.settings_of(part.document).threshold, encoding),
    }


async def _await_outcome(
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
            status, words = await _offer(session, part, found[0], progress)
        else:
            status, words = "not found", "nothing was written that is worth showing"
    finally:
        progress.end(status)
        if "preview" in session.client.offers:
            session.messenger.protocol.notify(PREVIEW, {"token": progress.token, "uri": part.uri, "text": None})
    if status not in ("applied", "discarded"):
        session.messenger.tell(types.MessageType.Info, f"risk-lsp: {words}")
    return {"status": status, "message": words}


async def _offer(session: Session, part: Part, suggestion: Suggestion, progress: WorkDoneProgress) -> tuple[str, str]:
    """Have the person confirm a text, and apply it. RiskError if the client refuses a request."""
    state, document = session.state, part.document
    words = suggestion.words(state.settings_of(document).threshold)
    diff = unified_diff(document.text, suggestion.after.text, "body")
    if not state.client.apply_edit:
        return "shown", f"{words}. This editor takes no edits from a server; the text is\n{suggestion.written.text}"
    previews = "preview" in state.client.offers
    annotates = state.client.annotates_edits and not previews
    if previews:
        progress.end("written")  # nothing is left to be cancelled
        answer = await session.messenger.ask(CONFIRM_PREVIEW, _preview(session, part, progress, suggestion))
        if not (isinstance(answer, dict) and answer.get("accept") is True):
            return "discarded", words
    elif not annotates and not await is_accepted(session.messenger, diff, words):
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
    with state.analyzer.expecting(document.uri, _SECONDS_TO_HEAR):
        answer = await session.messenger.ask(
            types.WORKSPACE_APPLY_EDIT, types.ApplyWorkspaceEditParams(change, "Write the body")
        )
        if answer is None or not answer.applied:
            return "discarded", words
        ends = time.monotonic() + _SECONDS_TO_HEAR
        # VS Code answers, and then tells of the edit.
        while state.documents.is_newest(document) and time.monotonic() < ends:
            await asyncio.sleep(0.005)
        accept(session, part.uri, suggestion)
    return "applied", words
