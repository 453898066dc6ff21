"""When documents are scored: after a quiet moment, newest wins, one run at a time per document."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import ModelError, RiskError, WorkerError, log_failure
from risk_lsp.risk.span_risk import PartialRisk, SpanRisk, within_any
from risk_lsp.server.documents.open_documents import OpenDocuments
from risk_lsp.text.document import Document, Span
from risk_lsp.text.structure import Structure, code_line_spans, parse_structure

# A text that brings the worker down this often is left alone until it is edited, or it would be restarted for ever.
_CRASHES_ALLOWED = 2


class DocumentLayout:
    """How one snapshot is built; parsed when first asked for, or before that by another thread."""

    def __init__(self, document: Document) -> None:
        self.document = document

    @cached_property
    def structure(self) -> Structure:
        """The snapshot's functions and classes."""
        return parse_structure(self.document.text, self.document.language_id)

    @cached_property
    def code_lines(self) -> frozenset[int]:
        """The lines that hold more than a comment or docstring: only those are ever pointed at."""
        document = self.document
        spans = code_line_spans(document.text, document.language_id, structure=self.structure)
        return frozenset(document.lines.line_of(span.start) for span in spans)


@dataclass(frozen=True)
class Analysis:
    """The risks of one snapshot, or what is known of them before all are: those of the spans `known`."""

    layout: DocumentLayout
    risks: SpanRisk
    known: tuple[Span, ...] | None = None

    @property
    def document(self) -> Document:
        """The snapshot."""
        return self.layout.document

    @property
    def is_whole(self) -> bool:
        """Whether all risks are known."""
        return self.known is None

    def knows(self, spans: Sequence[Span] | NDArray[np.int64]) -> NDArray[np.bool_]:
        """bool[spans]: whether the risk of each is known; spans as they are, or int64[spans, 2]."""
        return np.ones(len(spans), dtype=np.bool_) if self.known is None else within_any(spans, self.known)


ScoreCallback: TypeAlias = "Callable[[Document, Callable[[PartialRisk], None]], Awaitable[SpanRisk]]"
Outcome: TypeAlias = "Analysis | RiskError"


@dataclass
class _Watch:
    """What is known and planned for one open document."""

    due: float = 0.0
    patience: float = 0.0  # seconds that an edit waits at least
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    scoring: asyncio.Task[Outcome] | None = None
    partial: Analysis | None = None  # of the run that is on its way
    scored: Document | None = None
    outcome: Outcome | None = None
    crashes: int = 0
    waiting: list[_Waiting] = field(default_factory=list)


class _NewestOnce:
    """Passes parts on once a future is done; of those that came before, the newest: it holds what the others held."""

    def __init__(self, ready: asyncio.Future[Any], pass_on: Callable[[PartialRisk], None]) -> None:
        self._ready = ready
        self._pass_on = pass_on
        self._newest: PartialRisk | None = None
        ready.add_done_callback(self._let_go)

    def take(self, part: PartialRisk) -> None:
        self._newest = part
        if self._ready.done():
            self._let_go()

    def drop(self) -> None:
        self._newest = None

    def _let_go(self, _: object = None) -> None:
        part, self._newest = self._newest, None
        if part is not None:
            self._pass_on(part)


class _Waiting(NamedTuple):
    """Somebody who waits for the outcome for a snapshot, or is content with what is known of it."""

    document: Document
    content_with_parts: bool
    future: asyncio.Future[Outcome | None]


class Analyzer:
    """Runs `score` on the open documents and hands every result that is still of the newest text to `publish`, and
    before that what `score` knows of it already.

    `score` may raise RiskError: a WorkerError means that the worker went away while it read this very document, and the
    owner calls `rescore_all` once it is back or given up; any other error is the outcome until the next edit.
    """

    def __init__(
        self,
        documents: OpenDocuments,
        score: ScoreCallback,
        publish: Callable[[Analysis], None],
    ) -> None:
        self._documents = documents
        self._score = score
        self._publish = publish
        self._watches: dict[str, _Watch] = {}

    def schedule(self, uri: str, quiet: float = 0.0) -> None:
        """Score the document once nobody has called this for `quiet` seconds."""
        document = self._documents.get(uri)
        if document is None:
            return
        watch = self._watches.setdefault(uri, _Watch())
        watch.crashes = 0
        if watch.scoring is not None:
            watch.scoring.cancel()  # of an older text: nobody wants its risks any more
        self._start(uri, watch, asyncio.get_running_loop().time() + max(quiet, watch.patience))
        self._settle_waiting(watch)

    def rescore_all(self, forgive: bool = False) -> None:
        """Score every open document again, though its text is the same; results so far are void.

        Texts that brought the worker down too often are left out, unless they are forgiven; then what is being scored
        is begun again, too.
        """
        for document in self._documents.all():
            watch = self._watches.setdefault(document.uri, _Watch())
            watch.crashes = 0 if forgive else watch.crashes
            if forgive and watch.scoring is not None:
                watch.scoring.cancel()
            if watch.crashes < _CRASHES_ALLOWED:
                watch.scored = watch.outcome = None
                self._start(document.uri, watch, 0.0)

    @contextmanager
    def expecting(self, uri: str, seconds: float) -> Iterator[None]:
        """Let an edit wait that long meanwhile: it may bring a text whose risks are known, for `adopt` to take."""
        watch = self._watches.setdefault(uri, _Watch())
        watch.patience = seconds
        try:
            yield
        finally:
            watch.patience = 0.0
            watch.due = min(watch.due, asyncio.get_running_loop().time())
            watch.wake.set()

    def adopt(self, document: Document, risks: SpanRisk, known: tuple[Span, ...] | None) -> None:
        """Take risks of the newest text that nobody has to compute any more; of a part of it, until all are known."""
        if not self._documents.is_newest(document):
            return
        watch = self._watches.setdefault(document.uri, _Watch())
        analysis = Analysis(DocumentLayout(document), risks, known)
        if known is not None:
            self._take_part(watch, analysis.layout, PartialRisk(risks, known))
            return
        if watch.task is not None:
            watch.task.cancel()
            watch.task = None
        self._record(watch, document, analysis)

    def forget(self, uri: str) -> None:
        """Stop all work on a document."""
        watch = self._watches.pop(uri, None)
        if watch is None:
            return
        if watch.task is not None:
            watch.task.cancel()
        for waiting in watch.waiting:
            if not waiting.future.done():
                waiting.future.set_result(None)

    def forget_all(self) -> None:
        """Stop all work."""
        for uri in list(self._watches):
            self.forget(uri)

    def outcome(self, document: Document) -> Outcome | None:
        """What came of scoring this snapshot; None while that is still to come."""
        watch = self._watches.get(document.uri)
        return watch.outcome if watch is not None and watch.scored is document else None

    def analyses(self) -> list[Analysis]:
        """The results that belong to the newest texts."""
        outcomes = [self.outcome(document) for document in self._documents.all()]
        return [outcome for outcome in outcomes if isinstance(outcome, Analysis)]

    async def of_newest(self, document: Document) -> Outcome | None:
        """The outcome for this snapshot, scored at once if it was not yet; None if an edit came in between."""
        known = self.outcome(document)
        if known is not None:
            return known
        watch = self._watches.setdefault(document.uri, _Watch())
        self._start(document.uri, watch, 0.0)
        return await self._await_outcome(watch, document, content_with_parts=False)

    async def in_its_time(self, document: Document) -> Outcome | None:
        """The same without haste: the outcome of the run that is planned, or what that run knows; None if none is."""
        known = self.outcome(document) or self.partial(document)
        watch = self._watches.get(document.uri)
        if known is not None or watch is None:
            return known
        return await self._await_outcome(watch, document, content_with_parts=True)

    def partial(self, document: Document) -> Analysis | None:
        """What is known of this snapshot, which is being scored; None if nothing is yet, or all."""
        watch = self._watches.get(document.uri)
        found = None if watch is None else watch.partial
        return found if found is not None and found.document is document else None

    async def _await_outcome(self, watch: _Watch, document: Document, *, content_with_parts: bool) -> Outcome | None:
        if not self._documents.is_newest(document):  # edited before this coroutine ran
            return None
        future: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
        watch.waiting.append(_Waiting(document, content_with_parts, future))
        return await future

    def _start(self, uri: str, watch: _Watch, due: float) -> None:
        watch.due = due
        watch.wake.set()
        if watch.task is None or watch.task.done():
            watch.task = asyncio.get_running_loop().create_task(self._run(uri, watch))

    async def _run(self, uri: str, watch: _Watch) -> None:
        while True:
            await _quiet(watch)
            document = self._documents.get(uri)
            if document is None or watch.scored is document:
                return
            outcome = await self._score_once(watch, document)
            if outcome is not None and self._documents.is_newest(document):
                self._record(watch, document, outcome)
                return

    async def _score_once(self, watch: _Watch, document: Document) -> Outcome | None:
        """The outcome for a document; None if an edit came in between."""
        layout = DocumentLayout(document)
        watch.scoring = asyncio.ensure_future(self._outcome_of(layout, partial(self._take_part, watch, layout)))
        try:
            await asyncio.wait({watch.scoring})
            return None if watch.scoring.cancelled() else watch.scoring.result()
        finally:
            watch.scoring.cancel()  # where this document was closed
            watch.scoring = watch.partial = None

    async def _outcome_of(self, layout: DocumentLayout, on_part: Callable[[PartialRisk], None]) -> Outcome:
        # A long text takes a while to parse: meanwhile the model reads it, and hovers are answered.
        parsing = asyncio.get_running_loop().run_in_executor(None, lambda: layout.code_lines)
        parts = _NewestOnce(parsing, on_part)
        try:
            risks = await self._score(layout.document, parts.take)
            parts.drop()
            await asyncio.wait({parsing})  # what it raised, whoever asks again will see
            return Analysis(layout, risks)
        except RiskError as error:
            return error
        except Exception as error:
            log_failure("scoring", error)
            return RiskError("this document could not be scored", "the server's log says where it failed")
        finally:
            parts.drop()

    def _take_part(self, watch: _Watch, layout: DocumentLayout, part: PartialRisk) -> None:
        if self._documents.is_newest(layout.document):
            watch.partial = Analysis(layout, part.risks, part.known)
            self._settle_waiting(watch)
            self._publish_safely(watch.partial)

    def _record(self, watch: _Watch, document: Document, outcome: Outcome) -> None:
        if isinstance(outcome, WorkerError):
            watch.crashes += 1
            if watch.crashes < _CRASHES_ALLOWED:
                return
            outcome = ModelError("the model process ended each time it read this text", "edit the text to try again")
        else:
            watch.crashes = 0
        watch.scored, watch.outcome = document, outcome
        self._settle_waiting(watch)
        if isinstance(outcome, Analysis):
            self._publish_safely(outcome)

    def _publish_safely(self, analysis: Analysis) -> None:
        try:
            self._publish(analysis)
        except Exception as error:
            log_failure("publishing", error)

    def _settle_waiting(self, watch: _Watch) -> None:
        """Answer those who wait for the snapshot just scored, and send away those whose snapshot is gone."""
        everybody, watch.waiting = watch.waiting, []
        for waiting in everybody:
            document, content_with_parts, future = waiting
            if future.done():
                continue
            if watch.scored is document and watch.outcome is not None:
                future.set_result(watch.outcome)
            elif content_with_parts and self.partial(document) is not None:
                future.set_result(self.partial(document))
            elif self._documents.is_newest(document):
                watch.waiting.append(waiting)
            else:
                future.set_result(None)


async def _quiet(watch: _Watch) -> None:
    """Wait until the watch is due, which may move while waiting."""
    loop = asyncio.get_running_loop()
    while (left := watch.due - loop.time()) > 0:
        watch.wake.clear()
        try:
            await asyncio.wait_for(watch.wake.wait(), left)
        except asyncio.TimeoutError:
            continue
