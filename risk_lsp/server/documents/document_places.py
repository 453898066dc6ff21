"""Which place each line of the open documents is in: asked when one is opened or saved, moved along with every edit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import log_failure
from risk_lsp.probe.calibration import Place
from risk_lsp.risk.placed_risk import PLACES, UNKNOWN, LinePlaces, TextPlace, all_lines, places_of
from risk_lsp.server.wire.convert import path_of
from risk_lsp.text.document import Document
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.notebook import is_notebook
from risk_lsp.text.tracking import Splice, by_lines

Changed = NDArray[np.bool_]  # bool[lines]: which lines have changed since the last commit
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

    async def settled(self, uri: str) -> None:
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
            known.changed = _after(known.changed, before.lines, edit)

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
            known.place, known.changed = _as_document(found, document)
            if known.changed is not None:
                for lines, edit in known.edits:
                    known.changed = _after(known.changed, lines, edit)
        except OSError as error:  # of the file system; what was known stays
            log_failure("looking for the place of a document", error)
        if known.asking is asyncio.current_task():
            known.asking, known.edits = None, []
            if not _same(before, (known.place, known.changed)):
                self._on_change(document.uri)


def _as_document(found: TextPlace, document: Document) -> tuple[Place, Changed | None]:
    """What git says of a file as what it means for the document. Lines of a notebook's file are none of its cells'."""
    if found.place is not Place.AT_REST:
        return found.place, None
    if is_notebook(document.uri):
        return (Place.CHANGED if found.changed else Place.AT_REST), None
    return found.place, found.of_lines(document.lines) == PLACES.index(Place.CHANGED)


def _after(changed: Changed, lines: LineIndex, edit: Splice) -> Changed:
    for part in by_lines(edit):
        changed = after_edit(changed, lines, part)
    return changed


def _same(before: tuple[Place, Changed | None], after: tuple[Place, Changed | None]) -> bool:
    if before[0] is not after[0] or (before[1] is None) != (after[1] is None):
        return False
    return before[1] is None or after[1] is None or np.array_equal(before[1], after[1])
