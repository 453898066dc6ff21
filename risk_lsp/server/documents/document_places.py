"""Where the lines of open documents come from: which are generated, and which have changed since the last commit."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import log_failure
from risk_lsp.probe.calibration import PLACES, LinePlaces, Place, all_lines
from risk_lsp.risk.changes import UNKNOWN, TextPlace, places_of
from risk_lsp.server.wire.convert import normal_uri, path_of
from risk_lsp.text.document import Document, LineIndex, Span
from risk_lsp.text.notebook import is_notebook
from risk_lsp.text.tracking import Splice, by_lines, moved_spans

_LINES = 3
_CHARACTERS = 80


def content_lines(text: str) -> list[str]:
    """The lines of a text that are not blank, without the white space around them."""
    return [content for line in text.splitlines() if (content := line.strip())]


def is_large(lines: list[str]) -> bool:
    """Whether lines are more than a person types, or a completion of one statement inserts, at once: three lines and
    eighty characters besides white space."""
    return len(lines) >= _LINES and sum(len("".join(line.split())) for line in lines) >= _CHARACTERS


def looks_generated(inserted: str, is_known: Callable[[str], bool]) -> bool:
    """Whether text inserted by one change looks generated.

    `is_known` tells whether a line, without the white space around it, stood in the workspace before, or a moment ago.
    The rule: the lines that are new are large in themselves, and at least half of all. So text that was undone, moved,
    copied from an open document or laid out anew does not count. Text pasted from elsewhere does: where it came from
    cannot be told.
    """
    lines = content_lines(inserted)
    if not is_large(lines):
        return False
    new = [line for line in lines if not is_known(line)]
    return is_large(new) and 2 * len(new) >= len(lines)


def content_hash(text: str) -> str:
    """128 bits in hexadecimal."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class Origin(NamedTuple):
    """Where text comes from that the hosted model wrote and a person accepted; nothing of the text itself is in it.

    text_hash: of what was accepted. prompt_hash: of the tokens that the model read. at: seconds since the epoch.
    """

    model: str
    bundle: str
    text_hash: str
    prompt_hash: str
    at: float


class WrittenSpan(NamedTuple):
    """A span of the newest text with its origin, and whether the text is as it was accepted."""

    span: Span
    origin: Origin
    is_unchanged: bool


Changed = NDArray[np.bool_]  # bool[lines]: which lines have changed since the last commit

_REMOVALS_KEPT = 20
_FILES_KEPT = 1_000  # that were written by others and not opened since
_SAVED = 10.0  # seconds after a save in which what is heard of the file is that save
_MOSTLY = 0.8  # of the lines, for text to count as what was removed a moment ago


class GeneratedRegions:
    """Regions by document, moved along with every edit. A person's mark counts as much as what was found."""

    def __init__(self) -> None:
        self._spans: dict[str, list[Span]] = {}
        self._new: dict[str, list[Span]] = {}  # what became generated and was not taken yet
        self._written: dict[str, list[tuple[Span, Origin]]] = {}
        self._removals: deque[tuple[frozenset[str], bool]] = deque(maxlen=_REMOVALS_KEPT)  # lines; were they marked?
        self._saves: dict[str, float] = {}  # by URI, when the editor wrote the file
        self._on_disk: dict[str, None] = {}  # URIs of files that others wrote, the newest last

    def follow(self, before: Document, edit: Splice, open_documents: Iterable[Document], most_lines: int = 0) -> None:
        """Take note of an edit of a document, given as it was before.

        An insertion of more than `most_lines` lines that are not blank counts whatever it looks like, unless that is 0.
        """
        open_now = (before, *open_documents)
        for part in by_lines(edit):
            self._follow(before.uri, part, open_now, most_lines)

    def _follow(self, uri: str, edit: Splice, open_now: Iterable[Document], most_lines: int) -> None:
        was_marked = any(edit.start < span.end and span.start < edit.end for span in self._spans.get(uri, ()))
        self._spans[uri] = moved_spans(self._spans.get(uri, ()), edit)
        self._new[uri] = moved_spans(self._new.get(uri, ()), edit)
        self._written[uri] = [
            (moved, origin) for span, origin in self._written.get(uri, ()) for moved in moved_spans([span], edit)
        ]
        removed = content_lines(edit.removed)
        if is_large(removed):
            self._removals.append((frozenset(removed), was_marked))
        if self._is_generated(edit.inserted, open_now, most_lines):
            self._add(uri, Span(edit.start, edit.start + len(edit.inserted)))

    def note_save(self, uri: str) -> None:
        """The editor wrote the file of a document."""
        now = time.monotonic()
        self._saves = {each: when for each, when in self._saves.items() if now - when < _SAVED} | {normal_uri(uri): now}

    def note_on_disk(self, uri: str, *, is_there: bool) -> None:
        """A file that is not open was written or removed; nothing is read before it is opened."""
        uri = normal_uri(uri)
        self._on_disk.pop(uri, None)
        if is_there and time.monotonic() - self._saves.get(uri, -_SAVED) >= _SAVED:
            self._on_disk[uri] = None
            if len(self._on_disk) > _FILES_KEPT:
                del self._on_disk[next(iter(self._on_disk))]

    def find_on_disk(
        self, document: Document, changed: Changed, open_documents: Iterable[Document], most_lines: int
    ) -> None:
        """Take what changed since the last commit as insertions, if others wrote the file before it was opened.

        `changed`, bool[lines]. The rule is that of `follow`.
        """
        if normal_uri(document.uri) not in self._on_disk:
            return
        del self._on_disk[normal_uri(document.uri)]
        lines, others = document.lines, [each for each in open_documents if each.uri != document.uri]
        edges = np.flatnonzero(np.diff(np.concatenate([[False], changed, [False]])))
        for first, end in edges.reshape(-1, 2).tolist():
            span = Span(lines.start(first), lines.content_end(end - 1))
            if self._is_generated(lines.slice(*span), others, most_lines):
                self._add(document.uri, span)

    def mark(self, document: Document, span: Span) -> None:
        """A person says that a model wrote this; an empty span means its line, of which a blank one has nothing."""
        if span.start == span.end:
            line = document.lines.line_of(span.start)
            span = Span(document.lines.start(line), document.lines.content_end(line))
        if span.start < span.end:
            self._add(document.uri, span)

    def mark_written(self, document: Document, span: Span, origin: Origin) -> None:
        """The hosted model wrote this, from there; in the place of what was accepted of the same text before."""
        self.mark(document, span)
        others = [each for each in self._written.get(document.uri, ()) if _without(each[0], span)]
        self._written[document.uri] = [*others, (span, origin)]

    def written_spans(self, document: Document) -> list[WrittenSpan]:
        """What the hosted model wrote of the newest text, in its order."""
        found = sorted(self._written.get(document.uri, ()))
        return [
            WrittenSpan(span, origin, content_hash(document.lines.slice(*span)) == origin.text_hash)
            for span, origin in found
        ]

    def unmark(self, document: Document, span: Span) -> None:
        """A person says that no model wrote this; an empty span means the region around it."""
        if span.start == span.end:
            around = (each for each in self._spans.get(document.uri, ()) if each.start <= span.start <= each.end)
            span = next(around, span)
        kept = [part for each in self._spans.get(document.uri, ()) for part in _without(each, span)]
        self._spans[document.uri] = kept
        self._new[document.uri] = [part for each in self._new.get(document.uri, ()) for part in _without(each, span)]
        self._written[document.uri] = [
            (part, origin) for each, origin in self._written.get(document.uri, ()) for part in _without(each, span)
        ]

    def take_new(self, document: Document) -> list[Span]:
        """The spans of the newest text that became generated since this was asked last."""
        return self._new.pop(document.uri, [])

    def forget(self, uri: str) -> None:
        """Drop what is known of a document."""
        self._spans.pop(uri, None)
        self._new.pop(uri, None)
        self._written.pop(uri, None)

    def lines(self, document: Document) -> frozenset[int]:
        """The lines of the newest text that a region touches."""
        index = document.lines
        spans = self._spans.get(document.uri, ())
        touched = (range(index.line_of(span.start), index.line_of(span.end - 1) + 1) for span in spans)
        return frozenset(line for lines in touched for line in lines)

    def _is_generated(self, text: str, open_now: Iterable[Document], most_lines: int) -> bool:
        """Text that was removed a moment ago is what it was then."""
        lines = content_lines(text)
        is_long = 0 < most_lines < len(lines)
        if not is_long and not is_large(lines):
            return False
        for removed, was_marked in reversed(self._removals):
            if sum(line in removed for line in lines) >= _MOSTLY * len(lines):
                return was_marked
        if is_long:
            return True
        known = {line for document in open_now for line in content_lines(document.text)}
        return looks_generated(text, known.__contains__)

    def _add(self, uri: str, span: Span) -> None:
        """Add a span; spans that touch become one."""
        self._new.setdefault(uri, []).append(span)
        joined: list[Span] = []
        for each in sorted([*self._spans.get(uri, ()), span]):
            if joined and each.start <= joined[-1].end:
                joined[-1] = Span(joined[-1].start, max(joined[-1].end, each.end))
            else:
                joined.append(each)
        self._spans[uri] = joined


def _without(span: Span, hole: Span) -> list[Span]:
    """What is left of a span outside of a hole."""
    parts = (Span(span.start, min(span.end, hole.start)), Span(max(span.start, hole.end), span.end))
    return [part for part in parts if part.start < part.end]


_SECONDS = 3.0  # that git may take; numbers of a document that was just opened wait for it
_BY_SETTING = {"generated": Place.GENERATED, "atRest": Place.AT_REST}


def after_edit(changed: Changed, lines: LineIndex, edit: Splice) -> Changed:
    """Which lines have changed after an edit of a text with these lines: the lines that it touched have, too.

    Lines that are put in or taken out whole leave those beside them as they were.
    """
    first, last = lines.line_of(edit.start), lines.line_of(edit.end)
    touched = np.ones(LineIndex(edit.inserted).count, dtype=np.bool_)
    starts_line, ends_line = edit.start == lines.start(first), edit.start == lines.content_end(first)
    if starts_line and edit.end == lines.start(last) and edit.inserted[-1:] in ("", "\n", "\r"):
        touched[-1] = changed[last]
    elif ends_line and edit.end == lines.content_end(last) and edit.inserted[:1] in ("\n", "\r"):
        touched[0] = changed[first]
    return np.concatenate([changed[:first], touched, changed[last + 1 :]])


@dataclass
class _Known:
    """What is known of one document, and the edits since it was asked about, each with the text before it."""

    place: Place = UNKNOWN.place
    changed: Changed | None = None  # None where the place leaves no line that could have changed
    asking: asyncio.Task[None] | None = None
    edits: list[tuple[LineIndex, Splice]] = field(default_factory=list)


class DocumentPlaces:
    """`on_change` is called with the URI of a document whose lines turned out to be elsewhere than was known.

    `ask` finds the places of files; it runs in a thread, because it waits for git.
    """

    def __init__(
        self,
        on_change: Callable[[str], None],
        ask: Callable[[Sequence[Path], bool], Sequence[TextPlace]] = lambda paths, ask_git: places_of(
            paths, _SECONDS, ask_git=ask_git
        ),
    ) -> None:
        self._on_change = on_change
        self._ask = ask
        self._known: dict[str, _Known] = {}

    def look_up(self, document: Document, *, ask_git: bool) -> None:
        """Ask where a document's lines are, as it was just opened or saved; of git only if it may be run there."""
        known = self._known.setdefault(document.uri, _Known())
        path = path_of(document.uri)
        if path is None:
            return
        if known.asking is not None:
            known.asking.cancel()
        known.edits = []
        known.asking = asyncio.get_running_loop().create_task(self._look_up(known, document, Path(path), ask_git))

    def is_settled(self, uri: str) -> bool:
        """Whether nothing is being asked about the document."""
        known = self._known.get(uri)
        return known is None or known.asking is None

    async def wait_until_settled(self, uri: str) -> None:
        """Wait until nothing is being asked about the document any more."""
        while (known := self._known.get(uri)) is not None and known.asking is not None:
            await asyncio.wait({known.asking})

    def follow(self, before: Document, edit: Splice) -> None:
        """Take note of an edit of a document, given as it was before."""
        known = self._known.get(before.uri)
        if known is None:
            return
        if known.asking is not None:
            known.edits.append((before.lines, edit))
        if known.changed is not None:
            for part in by_lines(edit):
                known.changed = after_edit(known.changed, before.lines, part)

    def lines(self, document: Document, setting: str, generated: frozenset[int]) -> LinePlaces:
        """The place of each line of the newest text, int8[lines].

        `setting`: "auto" for what is known, or the place of all lines. The lines `generated` are that in any case.
        """
        known, count = self._known.get(document.uri, _Known()), document.lines.count
        found = all_lines(_BY_SETTING.get(setting, known.place), count)
        if setting == "auto" and known.changed is not None:
            changed = known.changed[:count]
            found[: len(changed)][changed] = PLACES.index(Place.CHANGED)
        found[[line for line in generated if line < count]] = PLACES.index(Place.GENERATED)
        return found

    def forget(self, uri: str) -> None:
        """Drop what is known of a document."""
        known = self._known.pop(uri, None)
        if known is not None and known.asking is not None:
            known.asking.cancel()

    async def _look_up(self, known: _Known, document: Document, path: Path, ask_git: bool) -> None:
        before = known.place, known.changed
        try:
            (found,) = await asyncio.to_thread(self._ask, [path], ask_git)
            known.place, known.changed = found.place, None
            if found.place is Place.AT_REST and is_notebook(document.uri):
                # Lines of a notebook's file are none of its cells'.
                known.place = Place.CHANGED if found.changed else Place.AT_REST
            elif found.place is Place.AT_REST:
                known.changed = found.of_lines(document.lines) == PLACES.index(Place.CHANGED)
                for lines, part in ((lines, part) for lines, edit in known.edits for part in by_lines(edit)):
                    known.changed = after_edit(known.changed, lines, part)
        except OSError as error:  # of the file system; what was known stays
            log_failure("looking for the place of a document", error)
        if known.asking is asyncio.current_task():
            known.asking, known.edits = None, []
            is_same = before[0] is known.place and (before[1] is None) == (known.changed is None)
            if is_same and before[1] is not None and known.changed is not None:
                is_same = np.array_equal(before[1], known.changed)
            if not is_same:
                self._on_change(document.uri)
