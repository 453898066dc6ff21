"""What edits do to the places of a text: spans that move, lines that stay, and lines found again much later."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.text.document import Document, PositionEncoding, Span, TextChange, stripped_line_spans, to_offset

_PAIRS_AT_MOST = 250_000  # old times new lines


class Splice(NamedTuple):
    """The characters [start, end), which were `removed`, were replaced by `inserted`."""

    start: int
    end: int
    removed: str
    inserted: str


def edit_of(document: Document, change: TextChange, encoding: PositionEncoding) -> Splice:
    """What a change does to a document; one that replaces the whole text is cut down to what differs."""
    if change.start is None or change.end is None:
        return difference(document.text, change.text)
    one, other = to_offset(document, change.start, encoding), to_offset(document, change.end, encoding)
    start, end = min(one, other), max(one, other)
    return Splice(start, end, document.lines.slice(start, end), change.text)


def by_lines(edit: Splice) -> list[Splice]:
    """The edit as edits of the lines that differ, the last one first: an edit's offsets hold while those before it are
    done.

    An edit of many lines stays whole.
    """
    olds, news = edit.removed.splitlines(keepends=True), edit.inserted.splitlines(keepends=True)
    if len(olds) < 2 or not news or len(olds) * len(news) > _PAIRS_AT_MOST:
        return [edit]
    starts = [edit.start, *(edit.start + length for length in accumulate(map(len, olds)))]
    changes = SequenceMatcher(None, olds, news, autojunk=False).get_opcodes()
    edits = [
        Splice(starts[one], starts[two], "".join(olds[one:two]), "".join(news[three:four]))
        for kind, one, two, three, four in changes
        if kind != "equal"
    ]
    return edits[::-1]


def moved_spans(spans: Iterable[Span], edit: Splice) -> list[Span]:
    """Where spans are after an edit: it grows or shrinks those that it is inside of, and cuts off what it replaces."""
    by, moved = len(edit.inserted) - (edit.end - edit.start), []
    for span in spans:
        if edit.start >= span.end:
            moved.append(span)
        elif edit.end <= span.start:
            moved.append(Span(span.start + by, span.end + by))
        elif span.start <= edit.start and edit.end <= span.end and (edit.start, edit.end) != span:
            moved.append(Span(span.start, span.end + by))
        else:
            start = span.start if edit.start >= span.start else edit.end + by
            moved.append(Span(start, max(start, edit.start if edit.end >= span.end else span.end + by)))
    return [span for span in moved if span.start < span.end]


def difference(before: str, after: str) -> Splice:
    """The replacement of the shortest stretch of `before` that turns it into `after`."""
    top = _common_length(before, after)
    left, right = before[top:][::-1], after[top:][::-1]
    bottom = _common_length(left, right)
    end = len(before) - bottom
    return Splice(top, end, before[top:end], after[top : len(after) - bottom])


def _common_length(one: str, other: str) -> int:
    """How many characters two texts begin with in common, by halving: comparing slices is fast."""
    longest = min(len(one), len(other))
    return bisect_left(range(longest), True, key=lambda length: one[: length + 1] != other[: length + 1])


class LineMatch(NamedTuple):
    """`old`, int64[lines]: for each line now, the line that it was, or -1; the first `above` lines are unchanged, and
    so is everything before them."""

    old: NDArray[np.int64]
    above: int


def match_lines(before: Document, after: Document) -> LineMatch:
    """Match the lines of two versions of a document.

    Lines around the edited part match one by one. In it lines with the same content match, and where as many lines as
    were there were rewritten, each is taken for the one in its place.
    """
    if before.lines is after.lines:
        return LineMatch(np.arange(after.lines.count), after.lines.count)
    olds, news = _contents(before), _contents(after)
    old = np.full(len(news), -1, dtype=np.int64)
    top = _common_start(olds, news)
    bottom = _common_start(olds[top:][::-1], news[top:][::-1])
    old[:top] = np.arange(top)
    old[len(news) - bottom :] = np.arange(len(olds) - bottom, len(olds))
    ours, theirs = olds[top : len(olds) - bottom], news[top : len(news) - bottom]
    if len(ours) * len(theirs) <= _PAIRS_AT_MOST:
        for _, old_start, old_end, new_start, new_end in SequenceMatcher(None, ours, theirs, False).get_opcodes():
            if old_end - old_start == new_end - new_start:  # the same content, or rewritten line by line
                old[top + new_start : top + new_end] = np.arange(top + old_start, top + old_end)
    return LineMatch(old, top)


def _common_start(one: Sequence[str], other: Sequence[str]) -> int:
    """How many items two lists begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))


def _contents(document: Document) -> list[str]:
    text, starts = document.text, document.lines.starts.tolist()
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


_AROUND = 2  # lines before and after that count as context, without blank ones


class LineAnchor(NamedTuple):
    """A line's content and context as hashes, the nearest context line first, and where it was (from 0)."""

    content: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    line: int


class HashedLine(NamedTuple):
    """A line that is not blank."""

    line: int
    content: str


def hashed_lines(document: Document) -> list[HashedLine]:
    """The hash of each line's content without the white space around it; blank lines are left out."""
    text = document.text
    spans = enumerate(stripped_line_spans(document))
    return [HashedLine(line, hash_of(text[start:end])) for line, (start, end) in spans if start < end]


def hash_of(content: str) -> str:
    """A content hash, 128 bits in hexadecimal."""
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def anchor_of(lines: Sequence[HashedLine], line: int) -> LineAnchor | None:
    """The anchor of a line; None if it is blank or not there."""
    for place, hashed in enumerate(lines):
        if hashed.line == line:
            return LineAnchor(hashed.content, *_context(lines, place), line)
    return None


def find_anchors(anchors: Iterable[LineAnchor], lines: Sequence[HashedLine]) -> dict[LineAnchor, int]:
    """The line that each anchor means now, if it is still there.

    That line has the same content and at least one of the same lines around it. If there are several, the one with
    more of these wins, then the one nearest to where the anchor was. No two anchors mean one line.
    """
    places: dict[str, list[int]] = {}
    for place, hashed in enumerate(lines):
        places.setdefault(hashed.content, []).append(place)
    candidates = []
    for anchor in anchors:
        for place in places.get(anchor.content, ()):
            before, after = _context(lines, place)
            score = len(set(anchor.before) & set(before)) + len(set(anchor.after) & set(after))
            if not anchor.before and not anchor.after:  # it was alone in its text, and needs nothing around it
                score = 1
            if score > 0:
                candidates.append((-score, abs(lines[place].line - anchor.line), lines[place].line, anchor))
    found: dict[LineAnchor, int] = {}
    taken = set()
    for _, _, line, anchor in sorted(candidates):
        if anchor not in found and line not in taken:
            found[anchor] = line
            taken.add(line)
    return found


def _context(lines: Sequence[HashedLine], place: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    before = lines[max(place - _AROUND, 0) : place]
    after = lines[place + 1 : place + 1 + _AROUND]
    return tuple(hashed.content for hashed in reversed(before)), tuple(hashed.content for hashed in after)
