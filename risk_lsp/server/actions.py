"""What the commands do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from risk_lsp.errors import RiskError
from risk_lsp.server.arguments import Arguments
from risk_lsp.server.barrier import REQUEST_FAILED
from risk_lsp.server.code_actions import IGNORE_LINE, STOP_IGNORING
from risk_lsp.server.convert import edit_inserting, span_of
from risk_lsp.server.endpoint import Endpoint
from risk_lsp.server.questions import Questions
from risk_lsp.server.state import State
from risk_lsp.text.comments import ignoring_comment
from risk_lsp.text.document import Document
from risk_lsp.text.parts import Part
from risk_lsp.text.spans import Span


class Actions:
    """Handlers of commands. `show_again` is called with a document for which something else is to be shown now."""

    def __init__(
        self, state: State, questions: Questions, endpoint: Endpoint, show_again: Callable[[Document], None]
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
        from risk_lsp.server.report import report_of  # and with it what makes pages, which is seldom needed

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
