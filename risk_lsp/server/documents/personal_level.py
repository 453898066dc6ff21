"""What becomes of generated lines after they are accepted, and the person's level, which is learnt from it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import log_failure
from risk_lsp.personal.ledger import Kind, Ledger, acceptance, settled_regions, settlement
from risk_lsp.personal.level_update import learnt_shift
from risk_lsp.personal.line_fates import Fate, Statement, fates_of, statements_of
from risk_lsp.probe.calibration import PLACES, LinePlaces, Place
from risk_lsp.risk.presentation import line_risks
from risk_lsp.risk.risk_map import OddsShift, ShiftedRisk
from risk_lsp.server.documents.document_places import GeneratedRegions
from risk_lsp.server.documents.line_view import LineView
from risk_lsp.server.wire.convert import normal_uri
from risk_lsp.text.document import Document, LineIndex, Span
from risk_lsp.text.tracking import Splice, by_lines, moved_spans

SETTLED_AFTER = 24 * 3600.0  # seconds
_REGIONS_AT_MOST = 500  # of a document; the oldest are given up

Reason = Literal["commit", "close", "time"]


class AcceptedLine(NamedTuple):
    """A line of code: its content without the white space around it, its tokens, and the bundle's probability."""

    content: str
    tokens: int
    probability: float


class Acceptance(NamedTuple):
    """A region at the time of its first numbers. `name` tells it from others; it holds code and is not to be kept."""

    name: str
    language_id: str
    at: float
    lines: tuple[AcceptedLine, ...]


class Settlement(NamedTuple):
    """What became of the lines of the region of that name, in order; no fates where it was taken back as a whole."""

    name: str
    at: float
    reason: Reason
    fates: tuple[Fate, ...]


@dataclass
class _Region:
    name: str
    at: float
    span: Span  # in the newest text
    rows: tuple[int, ...]  # of the lines that were remembered, within the region
    statements: list[Statement]


class AcceptedRegions:
    """Says by `accepted` and `settled` what is worth remembering; the code of unsettled regions is in memory alone."""

    def __init__(
        self,
        regions: GeneratedRegions,
        accepted: Callable[[Acceptance], None],
        settled: Callable[[Settlement], None],
    ) -> None:
        self._regions = regions
        self._accepted = accepted
        self._settled = settled
        self._open: dict[str, list[_Region]] = {}  # by URI, the oldest first

    def follow(self, before: Document, edit: Splice) -> None:
        """Take note of an edit of a document, given as it was before."""
        for region in self._open.get(before.uri, ()):
            for part in by_lines(edit):
                moved = moved_spans([region.span], part)
                region.span = moved[0] if moved else Span(part.start, part.start)

    def note(self, view: LineView) -> None:
        """Take note of regions that have got their first numbers, given all numbers of the newest text."""
        document = view.analysis.document
        new = self._regions.take_new(document)
        if not new:
            return
        risks = view.placed.risks
        risks = risks.unshifted if isinstance(risks, ShiftedRisk) else risks
        numbers, last = line_risks(risks, document), np.maximum(risks.starts, risks.ends - 1)
        ends_in = np.searchsorted(document.lines.starts, last, side="right") - 1
        tokens = np.bincount(ends_in, minlength=document.lines.count)  # that end in each line
        taken = {line for region in self._open.get(document.uri, ()) for line in _lines_of(region.span, document.lines)}
        for span in sorted(set(new)):
            within = _lines_of(span, document.lines)
            lines = [
                line
                for line in within
                if line in view.analysis.layout.code_lines and line not in taken and not np.isnan(numbers[line])
            ]
            if lines:
                taken.update(lines)
                self._accept(document, within, lines, numbers, tokens)

    def settle_committed(self, document: Document, places: LinePlaces) -> None:
        """Settle what was committed: regions all of whose lines, as git sees them in `places`, are at rest."""
        at_rest = places == PLACES.index(Place.AT_REST)
        committed = []
        for region in self._open.get(document.uri, ()):
            lines = _lines_of(region.span, document.lines)
            if lines and at_rest[lines.start : lines.stop].all():
                committed.append(region)
        self._settle(document, "commit", committed, ())

    def settle_old(self, document: Document, others: Iterable[Document]) -> None:
        """Settle what was accepted long ago. `others` are the documents that lines may have moved to."""
        past = time.time() - SETTLED_AFTER
        old = [region for region in self._open.get(document.uri, ()) if region.at < past]
        self._settle(document, "time", old, others)

    def close(self, document: Document, others: Iterable[Document]) -> None:
        """Settle everything in a document that is closed."""
        self._settle(document, "close", self._open.get(document.uri, []), others)
        self._open.pop(document.uri, None)

    def withdraw(self, document: Document, span: Span) -> None:
        """Forget the regions that touch a span of the newest text, of which a person says that no model wrote it."""
        kept = [
            region
            for region in self._open.get(document.uri, ())
            if region.span.end < span.start or span.end < region.span.start
        ]
        self._open[document.uri] = kept

    def _accept(
        self,
        document: Document,
        within: range,
        lines: Sequence[int],
        numbers: NDArray[np.float64],
        tokens: NDArray[np.intp],
    ) -> None:
        index = document.lines
        span = Span(index.start(within.start), index.content_end(within.stop - 1))
        text = index.slice(*span)
        now = time.time()
        name = f"{normal_uri(document.uri)}\n{text}"
        kept = tuple(
            AcceptedLine(index.slice(*index.stripped[line].tolist()), int(tokens[line]), float(numbers[line]))
            for line in lines
        )
        rows = tuple(line - within.start for line in lines)
        region = _Region(name, now, span, rows, statements_of(text, document.language_id))
        opened = self._open.setdefault(document.uri, [])
        opened.append(region)
        del opened[:-_REGIONS_AT_MOST]
        self._accepted(Acceptance(name, document.language_id, now, kept))

    def _settle(
        self, document: Document, reason: Reason, regions: Sequence[_Region], others: Iterable[Document]
    ) -> None:
        for region in list(regions):
            fates = _fates_in(region, document, others)
            rows = tuple(fates.get(row, Fate.KEPT) for row in region.rows)
            was_taken_back = all(fate is Fate.DELETED for fate in rows)
            self._settled(Settlement(region.name, time.time(), reason, () if was_taken_back else rows))
            self._open[document.uri].remove(region)


def _fates_in(region: _Region, document: Document, others: Iterable[Document]) -> dict[int, Fate]:
    """The fates by row. Other texts are looked at only for statements that are gone from where they stood.

    Where half of the lines are, the span was lost, as when a formatter rewrites the whole text: then the document is
    looked through.
    """
    index, language = document.lines, document.language_id
    lines = _lines_of(region.span, index)
    start, end = (index.start(lines.start), index.content_end(lines.stop - 1)) if lines else region.span
    now = statements_of(index.slice(start, end), language)
    found = fates_of(region.statements, now, ())
    if Fate.DELETED not in found.values():
        return found
    moved_to = [statement for other in others for statement in statements_of(other.text, language)]
    rest = [index.slice(0, start), index.slice(end, index.length)]
    beside = [statement for text in rest for statement in statements_of(text, language)]
    found = fates_of(region.statements, now, [*beside, *moved_to])
    if 2 * _count_kept(found) > len(found):
        return found
    through_all = fates_of(region.statements, statements_of(document.text, language), moved_to)
    return max(found, through_all, key=_count_kept)


def _count_kept(fates: dict[int, Fate]) -> int:
    return sum(fate is Fate.KEPT for fate in fates.values())


def _lines_of(span: Span, lines: LineIndex) -> range:
    """The lines that a span touches; none for an empty one."""
    if span.start == span.end:
        return range(0)
    return range(lines.line_of(span.start), lines.line_of(span.end - 1) + 1)


_SECONDS_TO_STOP = 2.0  # that what is still to be written may take


class PersonalLevel:
    """Remembers what is accepted and settled, and gives the shift that follows from it.

    `is_wanted` says whether the settings allow it now; `bundle` is the identity of the loaded one, None while none is.
    `on_change` is called on the event loop when numbers that are shown would move. No call here waits for the disk.
    """

    def __init__(
        self,
        ledger: Ledger,
        is_wanted: Callable[[], bool],
        bundle: Callable[[], str | None],
        on_change: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._is_wanted = is_wanted
        self._bundle = bundle
        self._on_change = on_change
        self._shifts: dict[Kind, OddsShift] = {}  # by what they were learnt for, as they are in force
        self._looked: tuple[object, ...] | None = None
        self._thread = ThreadPoolExecutor(1, "personal")
        self._tasks: set[asyncio.Task[None]] = set()

    def shift_for(self, language_id: str) -> OddsShift | None:
        """What the odds of generated lines of a language are shifted by; None where nothing is."""
        bundle = self._bundle()
        if bundle is None or not self._is_wanted():
            return None
        shift = self._shifts.get(Kind(bundle, language_id))
        return shift if shift is not None and shift.differs_from(None) else None

    def remember_accepted(self, region: Acceptance) -> None:
        """Remember a region."""
        bundle = self._bundle()
        if bundle is not None and self._is_wanted():
            kind = Kind(bundle, region.language_id)

            def write() -> None:
                if not self._ledger.is_off:
                    hash_of = self._ledger.hasher()
                    contents, tokens, numbers = zip(*region.lines, strict=True)
                    lines = [hash_of(content) for content in contents]
                    self._ledger.append(acceptance(hash_of(region.name), region.at, kind, lines, tokens, numbers))

            self._start(write)

    def remember_settled(self, region: Settlement) -> None:
        """Remember what became of a region, and learn from it."""
        if self._is_wanted():

            def write() -> None:
                if not self._ledger.is_off:
                    name = self._ledger.hasher()(region.name)
                    self._ledger.append(settlement(name, region.at, region.reason, region.fates))

            self._start(write)
            self.refresh()

    def refresh(self) -> None:
        """Learn anew if the ledger was written or turned off meanwhile, by this server or by any other program."""
        self._start(self._learn)

    async def stop(self) -> None:
        """Have written what is still to be written, if that is possible soon."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_SECONDS_TO_STOP)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _start(self, work: Callable[[], dict[Kind, OddsShift] | None]) -> None:
        with suppress(RuntimeError):  # after the end of the session, there is neither a thread nor a loop
            task = asyncio.get_running_loop().create_task(self._run(work))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, work: Callable[[], dict[Kind, OddsShift] | None]) -> None:
        try:
            fresh = await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except Exception as error:  # numbers stay as they are
            log_failure("the person's level", error)
            return
        if fresh is not None:
            before = self._shifts
            if any((before.get(kind) or OddsShift(0.0)).differs_from(fresh.get(kind)) for kind in {*fresh, *before}):
                self._shifts = fresh
                self._on_change()

    # In the thread

    def _learn(self) -> dict[Kind, OddsShift] | None:
        looks = self._ledger.looks()
        if looks == self._looked:
            return None
        self._looked = looks
        if self._ledger.is_off:
            return {}
        regions = settled_regions(self._ledger.records())
        return {kind: learnt_shift(settled, time.time()) for kind, settled in regions.items()}
