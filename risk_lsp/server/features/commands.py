"""`workspace/executeCommand`: from a command's name to what it does."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams

from risk_lsp.errors import RiskError
from risk_lsp.report.check import CheckOptions, LineRisk, file_report
from risk_lsp.report.html_report import html_report
from risk_lsp.report.wording import Tool
from risk_lsp.risk.presentation import ReferenceTable
from risk_lsp.server.documents.line_view import LineView
from risk_lsp.server.features.code_actions import IGNORE_LINE, STOP_IGNORING
from risk_lsp.server.features.questions import Questions
from risk_lsp.server.state import State
from risk_lsp.server.wire.barrier import REQUEST_FAILED, barrier
from risk_lsp.server.wire.client import Messenger
from risk_lsp.server.wire.convert import Arguments, edit_inserting, span_of
from risk_lsp.server.wire.handshake import COMMANDS
from risk_lsp.text.comments import ignoring_comment
from risk_lsp.text.document import Document, Part
from risk_lsp.text.spans import Span

_USAGE: dict[str, str] = {
    "riskLsp.analyseNow": "[uri]",
    "riskLsp.snooze": "[minutes]",
    "riskLsp.ignoreLine": '[uri, line, "source" or "stored"]',
    "riskLsp.stopIgnoring": "[uri, line]",
    "riskLsp.markGenerated": "[uri, range]",
    "riskLsp.unmarkGenerated": "[uri, range]",
    "riskLsp.report": "[uri]",
    "riskLsp.restart": "[]",
    "riskLsp.repair": "[uri, range]",
    "riskLsp.repairWithHint": "[uri, range, hint]",
    "riskLsp.cancelRepair": "[uri]",
    "riskLsp.forgetTestAnswers": "[]",
    "riskLsp.explain": "[uri, range]",
}


class Commands:
    """Runs commands. A handler takes the checked arguments and returns the answer, or something to await for it."""

    def __init__(self, handlers: Mapping[str, Callable[[Arguments], Any]]) -> None:
        assert set(handlers) == set(COMMANDS)
        self._handlers = handlers

    def execute(self, params: object) -> Generator[Any, Any, Any]:
        """Answer one request, in pygls's sense; the handler has begun before the next message is read."""
        fields = params if isinstance(params, Mapping) else {}
        name = fields.get("command")
        handler = self._handlers.get(name) if isinstance(name, str) else None
        if handler is None:
            raise JsonRpcInvalidParams(f"unknown command; known are {', '.join(self._handlers)}")
        assert isinstance(name, str)
        answer = handler(Arguments(name, _USAGE[name], fields.get("arguments"), fields.get("workDoneToken")))
        if inspect.isawaitable(answer):
            answer = yield barrier(name, _awaited), (answer,), None
        return answer


async def _awaited(answer: Awaitable[Any]) -> Any:
    return await answer


def report_of(view: LineView, bundle: str | None, reference: ReferenceTable) -> str:
    """One HTML page under the file's name; what the person has ignored is not pointed at."""
    document, threshold = view.analysis.document, view.circumstances.settings.threshold
    options = CheckOptions(top=view.circumstances.settings.max_diagnostics, threshold=threshold)
    name = Path(Path(unquote(urlsplit(document.uri).path)).name)
    report = file_report(view.analysis.risks, document.text, name, document.language_id, options, reference)
    heard = replace(report, worth_reading=_heard(report.worth_reading, view), findings=_heard(report.findings, view))
    return html_report([heard], Tool(bundle or "unknown", "", ""), reference, threshold=threshold)


def _heard(lines: Sequence[LineRisk], view: LineView) -> tuple[LineRisk, ...]:
    return tuple(line for line in lines if line.line not in view.ignored)


class Actions:
    """Handlers of commands. `show_again` is called with a document for which something else is to be shown now."""

    def __init__(
        self, state: State, questions: Questions, endpoint: Messenger, show_again: Callable[[Document], None]
    ) -> None:
        self._state = state
        self._questions = questions
        self._endpoint = endpoint
        self._show_again = show_again

    def handlers(self) -> dict[str, Callable[[Arguments], Any]]:
        """The handlers by command."""
        return {
            "riskLsp.analyseNow": self.analyse_now,
            "riskLsp.snooze": lambda arguments: self._state.snooze.set(arguments.minutes(0)),
            IGNORE_LINE: self.ignore_line,
            STOP_IGNORING: self.stop_ignoring,
            "riskLsp.markGenerated": lambda arguments: self._mark(arguments, self._state.regions.mark),
            "riskLsp.unmarkGenerated": lambda arguments: self._mark(arguments, self._state.regions.unmark),
            "riskLsp.report": lambda arguments: self._report(self._part(arguments).document),
            "riskLsp.restart": self.restart,
        }

    def analyse_now(self, arguments: Arguments) -> None:
        """Score a document without the quiet period."""
        document = self._part(arguments).document
        self._questions.require_scored(document)
        if self._state.snooze.is_on:
            raise JsonRpcException("risk-lsp is paused; riskLsp.snooze [0] ends the pause", REQUEST_FAILED)
        self._state.analyzer.schedule(document.uri)

    def ignore_line(self, arguments: Arguments) -> None:
        """Have a line ignored by a comment, or remember it."""
        part, line = self._part(arguments), arguments.line(1)
        if arguments.one_of(2, "source", "stored") == "source":
            self._insert_comment(part, line)
            return
        if line >= part.line_count:
            raise RiskError(f"line {line + 1} is not there", "choose a line with content")
        self._state.store.add(part.document, part.first_line + line)
        self._show_again(part.document)

    def stop_ignoring(self, arguments: Arguments) -> bool:
        """Forget a remembered line; whether there was one."""
        part, line = self._part(arguments), arguments.line(1)
        forgotten = line < part.line_count and self._state.store.remove(part.document, part.first_line + line)
        self._show_again(part.document)
        return forgotten

    async def restart(self, _: Arguments) -> None:
        """Replace the model's process."""
        await self._state.host.restart()
        self._state.views.forget_all()
        self._state.analyzer.rescore_all(forgive=True)

    async def _report(self, document: Document) -> dict[str, str]:
        # and with it what makes pages, which is seldom needed

        view = self._questions.view(await self._questions.analysis_of(document))
        host = self._state.host
        return {"html": await asyncio.to_thread(report_of, view, host.bundle_name, host.reference)}

    def _mark(self, arguments: Arguments, mark: Callable[[Document, Span], None]) -> None:
        part = self._part(arguments)
        mark(part.document, span_of(part, arguments.range(1), self._state.encoding))
        self._show_again(part.document)

    def _insert_comment(self, part: Part, line: int) -> None:
        client = self._state.client
        if not client.apply_edit:
            raise RiskError("this client applies no edits from the server", 'ignore the line as "stored"')
        is_there = line < part.line_count
        insertion = ignoring_comment(part.document, part.first_line + line) if is_there else None
        if insertion is None:
            raise RiskError(f"line {line + 1} cannot take a comment", 'ignore the line as "stored"')
        edit = edit_inserting(part, insertion, self._state.encoding, client.document_changes)
        params = types.ApplyWorkspaceEditParams(edit, "Ignore this line")
        self._endpoint.request(types.WORKSPACE_APPLY_EDIT, params, lambda _: None)

    def _part(self, arguments: Arguments) -> Part:
        return self._questions.part_of(arguments.uri(0))
