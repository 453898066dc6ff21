"""Shows what is known of documents: diagnostics pushed, or asked for again by a client that pulls."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from lsprotocol.converters import get_converter

from risk_lsp.risk.presentation import driving_words
from risk_lsp.server.documents.analysis import Analysis
from risk_lsp.server.documents.line_view import LineView
from risk_lsp.server.state import State
from risk_lsp.server.wire.convert import name_of, range_of
from risk_lsp.server.wire.messenger import Messenger
from risk_lsp.text.document import Document, Part, PositionEncoding, content_span

if TYPE_CHECKING:
    from risk_lsp.server.features.questions import Questions

SOURCE = "risk-lsp"
CODE = "likely-edit"


def diagnostics_of(view: LineView, part: Part, encoding: PositionEncoding) -> list[types.Diagnostic]:
    """One hint per line of the part worth showing, in the order of the text; the part is one of the view's snapshot.

    `data` is for clients that show more: offsets are in code points, tokens are ranges as the client counts them. The
    rank of a percentage is left out of it, because it changes with every line that is added elsewhere.
    """
    document, found = view.analysis.document, []
    for line in view.shown:
        if line not in part.lines:
            continue
        span, probability, standing = content_span(document, line), float(view.numbers[line]), view.standing(line)
        tokens = [range_of(part, token, encoding) for token in driving_words(view.placed.risks, document.text, span)]
        data = {
            "probability": round(probability, 4),
            "start": span.start - part.start,
            "end": span.end - part.start,
            "tokens": [
                {
                    "start": {"line": token.start.line, "character": token.start.character},
                    "end": {"line": token.end.line, "character": token.end.character},
                }
                for token in tokens
            ],
            **{key: value for key, value in standing.to_json().items() if standing.why or key not in ("rank", "of")},
        }
        place, hint = range_of(part, span, encoding), types.DiagnosticSeverity.Hint
        message = standing.sentence(probability)
        found.append(types.Diagnostic(place, message, hint, source=SOURCE, code=CODE, data=data))
    return found


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
        plain = json.dumps([_converter.unstructure(item) for item in items], sort_keys=True)
        content = hashlib.sha256(plain.encode("ascii")).hexdigest()[:16]
        newest, result_id = self._newest.get(uri, ("", ""))
        if content != newest:
            result_id = f"{content}-{next(self._serial)}"
            self._newest[uri] = content, result_id
        if result_id == previous:
            return types.RelatedUnchangedDocumentDiagnosticReport(result_id)
        return types.RelatedFullDocumentDiagnosticReport(items, result_id=result_id)


# By the client's capability below `workspace`.
_REQUESTS = {
    "inlayHint": types.WORKSPACE_INLAY_HINT_REFRESH,
    "codeLens": types.WORKSPACE_CODE_LENS_REFRESH,
    "diagnostics": types.WORKSPACE_DIAGNOSTIC_REFRESH,
}


class Refresher:
    """Sends at most one request of a kind per turn of the event loop, however much has changed."""

    def __init__(self, supported: frozenset[str], request: Callable[[str, Any, Callable[[Any], None]], None]) -> None:
        self._supported = supported
        self._request = request
        self._wanted: set[str] = set()

    def want(self, kinds: Iterable[str]) -> None:
        """Refresh these kinds soon; ones that the client cannot refresh are left out."""
        fresh = (set(kinds) & self._supported) - self._wanted
        if fresh and not self._wanted:
            asyncio.get_running_loop().call_soon(self._send)
        self._wanted |= fresh

    def stop(self) -> None:
        """Ask for nothing any more."""
        self._supported = frozenset()
        self._wanted.clear()

    def _send(self) -> None:
        wanted, self._wanted = self._wanted, set()
        for kind in sorted(wanted):
            self._request(_REQUESTS[kind], None, lambda _: None)


ANALYSED = "riskLsp/analysed"


class Publisher:
    """Tells one client what is known; `pull` says that it asks for diagnostics itself.

    `remark` is what the status says about the document shown last; `on_remark` is called when it may have changed.
    """

    def __init__(
        self,
        state: State,
        questions: Questions,
        messenger: Messenger,
        refresher: Refresher,
        on_remark: Callable[[], None],
        *,
        pull: bool,
    ) -> None:
        self._state = state
        self._questions = questions
        self._messenger = messenger
        self._refresher = refresher
        self._on_remark = on_remark
        self._pull = pull
        self.remark: str | None = None

    def show(self, analysis: Analysis) -> None:
        """Show a result, or what is known of it; also one that is shown already, in other circumstances."""
        state = self._state
        view = state.views.make(analysis, state.settings_of(analysis.document), state.snooze.is_on)
        parts = state.documents.parts(analysis.document)
        if not self._pull:
            for part in parts:
                self._publish(part.uri, part.version, diagnostics_of(view, part, state.encoding))
        elif not all(self._questions.pulling[part.uri] for part in parts):
            self._refresher.want(("diagnostics",))
        self._refresh_in_line()
        if not analysis.is_whole:
            return
        if state.documents.is_newest(analysis.document):
            state.accepted.note(view)
        if state.client.wants_analysed:
            for part in parts:
                self._messenger.protocol.notify(ANALYSED, {"uri": part.uri, "version": part.version})
        name, self.remark = name_of(view.analysis.document.uri), None
        if view.placed.outside is not None:
            self.remark = f"Outside its calibrated range: {name} ({view.placed.outside})."
        self._on_remark()

    def show_again(self, document: Document) -> None:
        """Show a document's result, if it has one, in other circumstances."""
        outcome = self._state.analyzer.outcome(document)
        if isinstance(outcome, Analysis):
            self.show(outcome)

    def show_all(self) -> None:
        """Show every result again."""
        for analysis in self._state.analyzer.analyses():
            self.show(analysis)

    def show_nothing(self, document: Document) -> None:
        """What was shown of the document is void."""
        self.remark = None
        self._refresh_in_line()
        if self._pull:
            self._refresher.want(("diagnostics",))
            return
        for part in self._state.documents.parts(document):
            self._publish(part.uri, part.version, [])

    def take_back(self, uris: Iterable[str]) -> None:
        """Take back the diagnostics of what is closed; a client that pulls does that itself."""
        for uri in () if self._pull else uris:
            self._publish(uri, None, [])

    def _publish(self, uri: str, version: int | None, diagnostics: Sequence[types.Diagnostic]) -> None:
        params = types.PublishDiagnosticsParams(uri, diagnostics, version)
        self._messenger.text_document_publish_diagnostics(params)

    def _refresh_in_line(self) -> None:
        """Have what is written into texts asked for again."""
        now, names = self._state.configuration.current, {"inlayHint": "inlay_hints", "codeLens": "code_lens"}
        self._refresher.want(kind for kind, name in names.items() if any(now.values(name)))
