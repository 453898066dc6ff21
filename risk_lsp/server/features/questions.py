"""What a client asks about a document, answered from its newest text: hovers, hints, lenses, numbers, diagnostics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, TypeAlias

from lsprotocol import types
from lsprotocol.converters import get_converter
from pygls.exceptions import JsonRpcContentModified, JsonRpcException, JsonRpcInvalidParams

from risk_lsp.errors import RiskError
from risk_lsp.server.documents.analysis import Analysis, Outcome
from risk_lsp.server.documents.document_places import WrittenSpan
from risk_lsp.server.documents.line_view import LineView
from risk_lsp.server.documents.open_documents import reason_not_scored
from risk_lsp.server.documents.publisher import Reports, diagnostics_of
from risk_lsp.server.features.code_actions import Action, code_actions
from risk_lsp.server.features.hover import hover_of, note
from risk_lsp.server.state import State
from risk_lsp.server.wire.connection import REQUEST_FAILED
from risk_lsp.server.wire.convert import offset_of, position_of, range_of, span_of
from risk_lsp.server.wire.protocol import barrier
from risk_lsp.text.document import Document, Part, PositionEncoding, Span, content_span
from risk_lsp.text.tracking import match_lines

_NO_COMMAND = ""  # to clients: text alone


def inlay_hints(view: LineView, part: Part, where: types.Range, encoding: PositionEncoding) -> list[types.InlayHint]:
    """The probability or rank at the end of each line of the part that is shown, for lines in a range."""
    document = part.document
    hints = []
    for before, line in _where_now(view.analysis.document, document, view.shown).items():
        if line in part.lines and where.start.line <= line - part.first_line <= where.end.line:
            _, behind = content_span(document, line)
            end = range_of(part, Span(behind, behind), encoding).end
            standing, probability = view.standing(before), float(view.numbers[before])
            label = standing.short(probability)
            tooltip = standing.sentence(probability).removeprefix(label).strip()
            hints.append(types.InlayHint(end, label, tooltip=tooltip, padding_left=True))
    return hints


def code_lenses(view: LineView, part: Part, encoding: PositionEncoding) -> list[types.CodeLens]:
    """The probability or rank of each function of the part, at the line where it starts."""
    document = part.document
    then = view.analysis.document
    functions = view.placed.functions(view.analysis.layout.structure)
    starts = [then.lines.line_of(function.node.span.start) for function, _ in functions]
    now = _where_now(then, document, starts)
    lenses = []
    for start, (function, standing) in zip(starts, functions, strict=True):
        if now.get(start) in part.lines:
            title = standing.sentence(function.probability, "functions")
            place = range_of(part, content_span(document, now[start]), encoding)
            lenses.append(types.CodeLens(place, types.Command(title, _NO_COMMAND)))
    return lenses


def _where_now(then: Document, now: Document, lines: Iterable[int]) -> dict[int, int]:
    """Where some of the lines of one version are in another, if their content is the same there."""
    if then is now:
        return {line: line for line in lines}
    places = {before: line for line, before in enumerate(match_lines(then, now).old.tolist()) if before >= 0}
    kept = [line for line in lines if line in places and _content(then, line) == _content(now, places[line])]
    return {line: places[line] for line in kept}


def _content(document: Document, line: int) -> str:
    return document.lines.slice(document.lines.start(line), document.lines.content_end(line))


def query_answer(view: LineView, part: Part, spans: list[Span]) -> dict[str, Any]:
    """One of each per range, in order: {"version", "probabilities", "standings": what may be said of them, "labels" and
    "sentences": that in words}.

    A range has the rank of the first to read of its lines.
    """
    here = view.placed
    probabilities = here.risks.probabilities([span.start for span in spans], [span.end for span in spans]).tolist()
    standings = [here.of_span(span, view.ranks) for span in spans]
    said = list(zip(standings, probabilities, strict=True))
    return {
        "version": part.version,
        "probabilities": probabilities,
        "standings": [standing.to_json() for standing in standings],
        "labels": [standing.short(probability) for standing, probability in said],
        "sentences": [standing.sentence(probability) for standing, probability in said],
    }


def lines_answer(view: LineView, part: Part) -> dict[str, Any]:
    """One of each per line: {"version", "lines": the probability or null, "labels": "41%" or "1st" or null, "steps":
    for a heat map, "outside": None or why, "ranks": number or null, "of": how many lines have one, "places": one per
    line, "orders": by place, why its lines give an order alone}."""
    probabilities = [None if value != value else value for value in view.probabilities.tolist()]
    lines = range(part.lines.start, part.lines.stop)
    labels: list[str | None] = []
    for line in lines:
        probability = probabilities[line]
        labels.append(None if probability is None else view.standing(line).short(probability) or None)
    return {
        "version": part.version,
        "lines": [probabilities[line] for line in lines],
        "labels": labels,
        "steps": list(view.steps[lines.start : lines.stop]),
        "outside": view.placed.outside,
        "ranks": [rank or None for rank in view.ranks[lines.start : lines.stop].tolist()],
        "of": int(view.ranks.max(initial=0)),
        "places": [place.value for place in view.placed.places_of_lines()[lines.start : lines.stop]],
        "orders": view.placed.orders(),
    }


def written_answer(written: Iterable[WrittenSpan], part: Part, encoding: PositionEncoding) -> dict[str, Any]:
    """{"version", "regions": for each text that the hosted model wrote its "range", "model", "bundle", "time" (UTC),
    "textHash", "promptHash", and "isUnchanged": whether it is as it was accepted}."""
    index, regions = part.document.lines, []
    for span, origin, is_unchanged in written:
        if index.line_of(span.start) in part.lines and index.line_of(span.end - 1) in part.lines:
            moment = datetime.fromtimestamp(int(origin.at), timezone.utc)
            regions.append(
                {
                    "range": _converter.unstructure(range_of(part, span, encoding)),
                    "model": origin.model,
                    "bundle": origin.bundle,
                    "time": moment.isoformat().replace("+00:00", "Z"),
                    "textHash": origin.text_hash,
                    "promptHash": origin.prompt_hash,
                    "isUnchanged": is_unchanged,
                }
            )
    return {"version": part.version, "regions": regions}


QUERY, LINES, WRITTEN = "riskLsp/query", "riskLsp/lines", "riskLsp/written"
_SERVER_CANCELLED = -32802
_converter = get_converter()

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
            WRITTEN: self.answer_written,
        }

    def hover(self, params: types.HoverParams) -> types.Hover | None:
        """The risk around a position, or why there is no number. Nothing in a pause."""
        state = self._state
        part = state.documents.part(params.text_document.uri)
        if part is None or not state.settings_of(part.document).enabled or state.snooze.is_on:
            return None
        self._move_to(part, params.position)
        outcome = state.analyzer.outcome(part.document) or state.analyzer.partial(part.document)
        markdown = state.client.markdown_hover
        if isinstance(outcome, Analysis):
            written = (
                state.regions.written_spans(outcome.document) if state.documents.is_newest(outcome.document) else ()
            )
            reference = state.host.reference
            return hover_of(self.view(outcome), part, params.position, state.encoding, reference, markdown, written)
        reason = reason_not_scored(part.document, state.settings_of(part.document)) or state.host.explanation()
        if reason is None:
            reason = "this text is being scored" if outcome is None else f"this document was not scored: {outcome}"
        return note(reason, markdown)

    def code_action(self, params: types.CodeActionParams) -> list[Action]:
        """What can be done about a line."""
        part = self._state.documents.part(params.text_document.uri)
        if part is not None:
            self._move_to(part, params.range.start)
        return code_actions(self._state, params)

    def inlay_hint(self, params: types.InlayHintParams) -> list[types.InlayHint]:
        """Probabilities at the end of lines, if the setting is on."""
        state, uri = self._state, params.text_document.uri
        part = state.documents.part(uri)
        if part is not None:
            state.attention.is_within(part.document.uri, span_of(part, params.range, state.encoding))
        shown = self._view_to_show(uri, state.views.get)
        if shown is None or not shown[0].circumstances.settings.inlay_hints:
            return []
        return inlay_hints(*shown, params.range, state.encoding)

    def code_lens(self, params: types.CodeLensParams) -> list[types.CodeLens]:
        """Probabilities above functions, if the setting is on."""
        # Functions are known with the whole alone: until then they keep what they had.
        state, uri = self._state, params.text_document.uri
        shown = self._view_to_show(uri, state.views.get_whole)
        if shown is None or not shown[0].circumstances.settings.code_lens:
            return []
        return code_lenses(*shown, state.encoding)

    # These pick the snapshot before the next message is handled: it may be an edit.

    def query(self, params: Any) -> Step:
        """`riskLsp/query`, from {uri, ranges} to what is known of each range, in their order."""
        part = self.part_of(_uri_of(params))
        ranges = params.get("ranges")
        if not isinstance(ranges, list):
            raise JsonRpcInvalidParams("params need ranges, a list of LSP ranges")
        spans = [span_of(part, _range_of(value, place), self._state.encoding) for place, value in enumerate(ranges)]
        analysis = yield barrier(QUERY, self.analysis_of), (part.document,), None
        return query_answer(self.view(analysis), part, spans)

    def lines(self, params: Any) -> Step:
        """`riskLsp/lines`, from {uri} to what is known of each line."""
        part = self.part_of(_uri_of(params))
        analysis = yield barrier(LINES, self.analysis_of), (part.document,), None
        return lines_answer(self.view(analysis), part)

    def answer_written(self, params: Any) -> dict[str, Any]:
        """`riskLsp/written`, from {uri} to what the hosted model wrote of it."""
        part = self.part_of(_uri_of(params))
        return written_answer(self._state.regions.written_spans(part.document), part, self._state.encoding)

    def diagnostic(self, params: types.DocumentDiagnosticParams) -> Generator[Any, Any, Any]:
        """Diagnostics for a client that pulls.

        The answer waits until the planned run is done, or knows a part; the client hears later that there is more. An
        edit before that ends the waiting. While another model is loaded, the client is told to drop what it has.
        """
        state, uri = self._state, params.text_document.uri
        part = state.documents.part(uri)
        items: list[types.Diagnostic] = []
        is_void = state.host.loads_another and params.previous_result_id is not None
        is_hidden = is_void or state.snooze.is_on
        if part is not None and not is_hidden and self._reason_not_scored(part.document) is None:
            outcome = yield barrier("pull", self._in_its_time), (part,), None
            if outcome is None:  # the client keeps what it has, and has asked anew for its own edit
                raise JsonRpcException("the document changed meanwhile", _SERVER_CANCELLED, {"retriggerRequest": False})
            if isinstance(outcome, Analysis):
                items = diagnostics_of(self.view(outcome), part, state.encoding)
        return self._reports.report(uri, items, params.previous_result_id)

    def part_of(self, uri: str) -> Part:
        """The newest snapshot of what the client knows by this URI. Raises JsonRpcException if it is not open."""
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
        return reason_not_scored(document, self._state.settings_of(document))

    async def _in_its_time(self, part: Part) -> Outcome | None:
        self.pulling[part.uri] += 1
        try:
            return await self._state.analyzer.in_its_time(part.document)
        finally:
            self.pulling[part.uri] -= 1
            self.pulling += Counter()  # drops what is back at 0

    def _move_to(self, part: Part, position: types.Position) -> None:
        """Take note that the person is there."""
        self._state.attention.is_at(part.document.uri, offset_of(part, position, self._state.encoding))

    def _view_to_show(self, uri: str, view_of: Callable[[str], LineView | None]) -> tuple[LineView, Part] | None:
        """A view of the document and the part in the newest snapshot, or None if nothing is to be shown.

        The view may be of an older snapshot.
        """
        part = self._state.documents.part(uri)
        view = view_of(part.document.uri) if part is not None else None
        if view is None or part is None or self._state.snooze.is_on:
            return None
        return view, part

    async def analysis_of(self, document: Document) -> Analysis:
        """The analysis of a snapshot, made at once if there is none. Raises RiskError or JsonRpcException."""
        self.require_scored(document)
        outcome = await self._state.analyzer.of_newest(document)
        if outcome is None:
            raise JsonRpcContentModified("the document changed meanwhile; ask again")
        if isinstance(outcome, RiskError):
            raise outcome
        return outcome

    def view(self, analysis: Analysis) -> LineView:
        """The view of an analysis: the one that is shown, or a new one."""
        view = self._state.views.get(analysis.document.uri)
        if view is not None and view.analysis is analysis:
            return view
        settings = self._state.settings_of(analysis.document)
        return self._state.views.make(analysis, settings, self._state.snooze.is_on)


def _uri_of(params: object) -> str:
    uri = params.get("uri") if isinstance(params, Mapping) else None
    if not isinstance(uri, str):
        raise JsonRpcInvalidParams("params need a uri, a string: the document's URI")
    return uri


def _range_of(value: object, place: int) -> types.Range:
    ends = []
    for end in ("start", "end"):
        position = position_of(value.get(end) if isinstance(value, Mapping) else None)
        if position is None:
            raise JsonRpcInvalidParams(f"ranges[{place}].{end}: expected line and character, whole numbers from 0")
        ends.append(position)
    return types.Range(*ends)
