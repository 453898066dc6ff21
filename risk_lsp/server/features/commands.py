"""What the commands do, except those of repairs and writing; `server/command_table.py` names each function."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

from risk_lsp.errors import RiskError
from risk_lsp.probe.manifest import ReferenceTable
from risk_lsp.report.check import CheckOptions, LineRisk, file_report
from risk_lsp.report.html_report import html_report
from risk_lsp.report.wording import Tool
from risk_lsp.server.command_table import COMMANDS
from risk_lsp.server.documents.ignored_lines import ignoring_comment
from risk_lsp.server.documents.line_view import LineView
from risk_lsp.server.features.hover import MARKDOWN, PLAIN_TEXT, explanation_text
from risk_lsp.server.wire.connection import REQUEST_FAILED
from risk_lsp.server.wire.convert import asked_span, edit_inserting, name_of, span_of
from risk_lsp.server.wire.protocol import barrier
from risk_lsp.text.document import Document, Part, Span

if TYPE_CHECKING:
    from risk_lsp.server.session import Session


class CommandRunner:
    """Runs the commands of the table for one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._commands = {command.name: (command, command.load()) for command in COMMANDS}

    def execute(self, params: object) -> Generator[Any, Any, Any]:
        """Answer one request. A generator in pygls's sense: the function has begun before the next message is read."""
        fields = params if isinstance(params, Mapping) else {}
        name = fields.get("command")
        if not isinstance(name, str) or name not in self._commands:
            raise JsonRpcInvalidParams(f"unknown command; known are {', '.join(self._commands)}")
        command, function = self._commands[name]
        try:
            arguments = command.read(fields.get("arguments"))
        except ValueError as error:
            raise JsonRpcInvalidParams(str(error)) from None
        if command.reports_progress:
            token = fields.get("workDoneToken")
            arguments.append(token if type(token) in (int, str) else None)
        answer = function(self._session, *arguments)
        if inspect.isawaitable(answer):
            answer = yield barrier(name, _wait_for), (answer,), None
        return answer


async def _wait_for(answer: Awaitable[Any]) -> Any:
    return await answer


_Result = TypeVar("_Result")


async def aside(work: Callable[[], _Result]) -> _Result:
    """The result of work that reads or fetches files, done in a thread that keeps no server from ending."""
    done: Future[_Result] = Future()
    done.set_running_or_notify_cancel()  # the work goes on where nobody waits for it any more

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # whatever it is, somebody waits
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(done)


def analyse_now(session: Session, uri: str) -> None:
    """Score a document without the quiet period."""
    document = session.questions.part_of(uri).document
    session.questions.require_scored(document)
    if session.state.snooze.is_on:
        raise JsonRpcException("risk-lsp is paused; riskLsp.snooze [0] ends the pause", REQUEST_FAILED)
    session.state.analyzer.schedule(document.uri)


def snooze(session: Session, minutes: float) -> None:
    """Show nothing for so many minutes; 0 ends the pause."""
    session.state.snooze.set(minutes)


async def restart(session: Session) -> None:
    """Replace the model's process."""
    await session.state.host.restart()
    session.state.views.forget_all()
    session.state.analyzer.rescore_all(forgive=True)


def ignore_line(session: Session, uri: str, line: int, place: str) -> None:
    """Ignore a line, counted from 0: "source" writes a comment behind it, "stored" remembers it in the data folder."""
    part = session.questions.part_of(uri)
    if place == "source":
        _insert_comment(session, part, line)
        return
    if line >= part.line_count:
        raise RiskError(f"line {line + 1} is not there", "choose a line with content")
    session.state.store.add(part.document, part.first_line + line)
    session.publisher.show_again(part.document)


def _insert_comment(session: Session, part: Part, line: int) -> None:
    client = session.state.client
    if not client.apply_edit:
        raise RiskError("this client applies no edits from the server", 'ignore the line as "stored"')
    is_there = line < part.line_count
    insertion = ignoring_comment(part.document, part.first_line + line) if is_there else None
    if insertion is None:
        raise RiskError(f"line {line + 1} cannot take a comment", 'ignore the line as "stored"')
    edit = edit_inserting(part, insertion, session.state.encoding, client.document_changes)
    params = types.ApplyWorkspaceEditParams(edit, "Ignore this line")
    session.messenger.request(types.WORKSPACE_APPLY_EDIT, params, lambda _: None)


def stop_ignoring(session: Session, uri: str, line: int) -> bool:
    """Forget a stored line, counted from 0; returns whether there was one."""
    part = session.questions.part_of(uri)
    forgotten = line < part.line_count and session.state.store.remove(part.document, part.first_line + line)
    session.publisher.show_again(part.document)
    return forgotten


def mark_generated(session: Session, uri: str, place: types.Range) -> None:
    """Mark a part of the document as written by a model."""
    _mark(session, uri, place, session.state.regions.mark)


def unmark_generated(session: Session, uri: str, place: types.Range) -> None:
    """Mark a part of the document as not written by a model; nothing is learnt from it."""

    def unmark(document: Document, span: Span) -> None:
        session.state.regions.unmark(document, span)
        session.state.accepted.withdraw(document, span)

    _mark(session, uri, place, unmark)


def _mark(session: Session, uri: str, place: types.Range, mark: Callable[[Document, Span], None]) -> None:
    part = session.questions.part_of(uri)
    mark(part.document, span_of(part, place, session.state.encoding))
    session.publisher.show_again(part.document)


def report(session: Session, uri: str) -> Awaitable[dict[str, str]]:
    """Answer {html}: a page about the newest text of the document."""
    document = session.questions.part_of(uri).document

    async def page() -> dict[str, str]:
        view = session.questions.view(await session.questions.analysis_of(document))
        host = session.state.host
        return {"html": await asyncio.to_thread(_page_of, view, host.bundle_name, host.reference)}

    return page()


def _page_of(view: LineView, bundle: str | None, reference: ReferenceTable) -> str:
    """One HTML page under the file's name, with the numbers that everybody gets; it does not point at lines that the
    person has ignored."""

    def heard(lines: Sequence[LineRisk]) -> tuple[LineRisk, ...]:
        return tuple(line for line in lines if line.line not in view.circumstances.ignored)

    document, threshold = view.analysis.document, view.circumstances.settings.threshold
    options = CheckOptions(top=view.circumstances.settings.max_diagnostics, threshold=threshold)
    name = Path(name_of(document.uri))
    found = file_report(view.placed.for_everybody(), name, document.language_id, options, reference)
    found = replace(found, worth_reading=heard(found.worth_reading), findings=heard(found.findings))
    return html_report([found], Tool(bundle or "unknown", "", ""), reference, threshold=threshold)


def explain(session: Session, uri: str, place: types.Range) -> Awaitable[dict[str, str]]:
    """Answer {markdown}; also shown as a message where the client would show nothing itself."""
    state = session.state
    part = session.questions.part_of(uri)
    document = part.document
    session.questions.require_scored(document)
    span = asked_span(part, place, state.encoding)

    async def answer() -> dict[str, str]:
        from risk_lsp.repair.model_questions import WorkerModel
        from risk_lsp.repair.model_questions import explain as ask_why

        view = session.questions.view(await session.questions.analysis_of(document))
        found = await ask_why(WorkerModel(state.host.ask), document.text, document.language_id, span)
        # With the numbers of the places that its tokens are in.
        here = view.placed.risks
        tokens = tuple(replace(reason, probability=here.probability(*reason.span)) for reason in found.tokens)
        found = replace(found, probability=here.probability(*found.span), tokens=tokens)
        standing = view.placed.of_span(span, view.ranks)
        if "explanation" not in state.client.offers:
            session.messenger.tell(
                types.MessageType.Info, f"risk-lsp: {explanation_text(found, standing, document, PLAIN_TEXT)}"
            )
        return {"markdown": explanation_text(found, standing, document, MARKDOWN)}

    return answer()
