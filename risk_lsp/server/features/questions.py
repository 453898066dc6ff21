"""What a client asks about a document, answered from its newest text; diagnostics that it pulls."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias

from lsprotocol import types
from lsprotocol.converters import get_converter
from pygls.exceptions import JsonRpcContentModified, JsonRpcException, JsonRpcInvalidParams

from risk_lsp.errors import RiskError
from risk_lsp.server.documents.analysis import Analysis, Outcome
from risk_lsp.server.documents.line_view import LineView
from risk_lsp.server.documents.open_documents import reason_not_scored
from risk_lsp.server.features.code_actions import Action, code_actions
from risk_lsp.server.features.diagnostics import diagnostics_of
from risk_lsp.server.features.hover import hover_of, note
from risk_lsp.server.features.in_line import code_lenses, inlay_hints
from risk_lsp.server.features.query import LINES, QUERY, lines_answer, query_answer, spans_of, uri_of
from risk_lsp.server.state import State
from risk_lsp.server.wire.convert import offset_of, span_of
from risk_lsp.server.wire.messenger import REQUEST_FAILED, barrier
from risk_lsp.text.document import Document, Part

_SERVER_CANCELLED = -32802
_converter = get_converter()


class Reports:
    """Answers to pulls: the diagnostics, or that they are what the client has.

    Diagnostics that were replaced and come back get another id. A client may have two pulls on their way: the answer to
    the first gives it new diagnostics, the second still names the old ones and must not hear that those are unchanged.
    """

    def __init__(self) -> None:
        self._newest: dict[str, tuple[str, str]] = {}  # by URI: the content reported last, as a hash, and its id
        self._serial = itertools.count(1)

    def report(
        self, uri: str, items: Sequence[types.Diagnostic], previous: str | None
    ) -> types.RelatedFullDocumentDiagnosticReport | types.RelatedUnchangedDocumentDiagnosticReport:
        """The answer to a pull of a client that has the diagnostics with the id `previous`."""
        content = _hash_of(items)
        newest, result_id = self._newest.get(uri, ("", ""))
        if content != newest:
            result_id = f"{content}-{next(self._serial)}"
            self._newest[uri] = content, result_id
        if result_id == previous:
            return types.RelatedUnchangedDocumentDiagnosticReport(result_id)
        return types.RelatedFullDocumentDiagnosticReport(items, result_id=result_id)


def overtaken() -> JsonRpcException:
    """The answer to a pull whose text is gone: the client keeps what it has, and has asked anew for its own edit."""
    return JsonRpcException("the document changed meanwhile", _SERVER_CANCELLED, {"retriggerRequest": False})


def _hash_of(items: Sequence[types.Diagnostic]) -> str:
    content: Any = [_converter.unstructure(item) for item in items]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()[:16]


# A generator in pygls's sense: it yields a handler to run with its arguments, gets the result, and returns the answer.
Step: TypeAlias = "Generator[tuple[Callable[..., Any], tuple[Any, ...], None], Any, dict[str, Any]]"


class Questions:
    """Handlers of requests that change nothing."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._reports = Reports()
        self.pulling: Counter[str] = Counter()  # by URI, how many wait for the diagnostics of the newest text

    def handlers(self) -> dict[str, Callable[..., Any]]:
        """The handlers by method."""
        return {
            types.TEXT_DOCUMENT_HOVER: self.hover,
            types.TEXT_DOCUMENT_CODE_ACTION: self.code_action,
            types.TEXT_DOCUMENT_INLAY_HINT: self.inlay_hint,
            types.TEXT_DOCUMENT_CODE_LENS: self.code_lens,
            types.TEXT_DOCUMENT_DIAGNOSTIC: self.diagnostic,
            QUERY: self.query,
            LINES: self.lines,
        }

    def hover(self, params: types.HoverParams) -> types.Hover | None:
        """The risk around a position, or why there is no number. Nothing in a pause."""
        state = self._state
        part = state.documents.part(params.text_document.uri)
        if part is None or not state.settings.enabled or state.snooze.is_on:
            return None
        self._note(part, params.position)
        outcome = state.analyzer.outcome(part.document) or state.analyzer.partial(part.document)
        markdown = state.client.markdown_hover
        if isinstance(outcome, Analysis):
            return hover_of(self.view(outcome), part, params.position, state.encoding, state.host.reference, markdown)
        return note(self._why_no_number(part.document, outcome), markdown)

    def code_action(self, params: types.CodeActionParams) -> list[Action]:
        """What can be done about a line."""
        part = self._state.documents.part(params.text_document.uri)
        if part is not None:
            self._note(part, params.range.start)
        return code_actions(self._state, params)

    def inlay_hint(self, params: types.InlayHintParams) -> list[types.InlayHint]:
        """Probabilities at the end of lines, if the setting is on."""
        state, uri = self._state, params.text_document.uri
        part = state.documents.part(uri)
        if part is not None:
            state.attention.is_within(part.document.uri, span_of(part, params.range, state.encoding))
        shown = self._shown(uri, state.views.get) if state.settings.inlay_hints else None
        return inlay_hints(*shown, params.range, self._state.encoding) if shown else []

    def code_lens(self, params: types.CodeLensParams) -> list[types.CodeLens]:
        """Probabilities above functions, if the setting is on."""
        # Functions are known with the whole alone: until then they keep what they had.
        state = self._state
        shown = self._shown(params.text_document.uri, state.views.get_whole) if state.settings.code_lens else None
        return code_lenses(*shown, self._state.encoding) if shown else []

    # These pick the snapshot before the next message is handled: it may be an edit.

    def query(self, params: Any) -> Step:
        """`riskLsp/query`."""
        part = self.part_of(uri_of(params))
        spans = spans_of(params, part, self._state.encoding)
        return query_answer((yield barrier(QUERY, self.analysis_of), (part.document,), None), part, spans)

    def lines(self, params: Any) -> Step:
        """`riskLsp/lines`."""
        part = self.part_of(uri_of(params))
        return lines_answer(self.view((yield barrier(LINES, self.analysis_of), (part.document,), None)), part)

    def diagnostic(self, params: types.DocumentDiagnosticParams) -> Generator[Any, Any, Any]:
        """Diagnostics for a client that pulls, once the planned run is done or knows a part, of which there is more to
        come; an edit before that sends it away."""
        state, uri = self._state, params.text_document.uri
        part = state.documents.part(uri)
        items: list[types.Diagnostic] = []
        if part is not None and not state.snooze.is_on and self._reason_not_scored(part.document) is None:
            outcome = yield barrier("pull", self._in_its_time), (part,), None
            if outcome is None:
                raise overtaken()
            if isinstance(outcome, Analysis):
                items = diagnostics_of(self.view(outcome), part, state.encoding)
        return self._reports.report(uri, items, params.previous_result_id)

    def part_of(self, uri: str) -> Part:
        """What the client knows by this URI, in its newest snapshot. Raises JsonRpcException."""
        part = self._state.documents.part(uri)
        if part is not None:
            return part
        if self._state.documents.is_cell(uri):
            raise JsonRpcException(f"{uri} is a cell without Python, and only Python cells are scored", REQUEST_FAILED)
        raise JsonRpcInvalidParams(f"{uri} is not an open document; open it first")

    def require_scored(self, document: Document) -> None:
        """Raise the error that says why the document is not scored, if it is not."""
        if (reason := self._reason_not_scored(document)) is not None:
            raise JsonRpcException(reason, REQUEST_FAILED)

    def _reason_not_scored(self, document: Document) -> str | None:
        if not self._state.settings.enabled:
            return "risk-lsp is turned off (setting enabled)"
        return reason_not_scored(document, self._state.settings)

    async def _in_its_time(self, part: Part) -> Outcome | None:
        self.pulling[part.uri] += 1
        try:
            return await self._state.analyzer.in_its_time(part.document)
        finally:
            self.pulling[part.uri] -= 1
            self.pulling += Counter()  # drops what is back at 0

    def _note(self, part: Part, position: types.Position) -> None:
        """A person is there."""
        self._state.attention.is_at(part.document.uri, offset_of(part, position, self._state.encoding))

    def _shown(self, uri: str, view_of: Callable[[str], LineView | None]) -> tuple[LineView, Part] | None:
        """A view of the document, and the part in the newest snapshot, which may be another one than the view's; None
        if nothing is to be shown."""
        part = self._state.documents.part(uri)
        view = view_of(part.document.uri) if part is not None else None
        if view is None or part is None or self._state.snooze.is_on:
            return None
        return view, part

    async def analysis_of(self, document: Document) -> Analysis:
        """The analysis of a snapshot, which is made at once if need be. Raises what the client is to be answered."""
        self.require_scored(document)
        outcome = await self._state.analyzer.of_newest(document)
        if outcome is None:
            raise JsonRpcContentModified("the document changed meanwhile; ask again")
        if isinstance(outcome, RiskError):
            raise outcome
        return outcome

    def view(self, analysis: Analysis) -> LineView:
        """The view that was made when the analysis came in, or the settings changed."""
        view = self._state.views.get(analysis.document.uri)
        if view is not None and view.analysis is analysis:
            return view
        return self._state.views.make(analysis, self._state.settings, self._state.snooze.is_on)

    def _why_no_number(self, document: Document, outcome: RiskError | None) -> str:
        if (reason := reason_not_scored(document, self._state.settings)) is not None:
            return reason
        if (reason := self._state.host.explanation()) is not None:
            return reason
        return "this text is being scored" if outcome is None else f"this document was not scored: {outcome}"
