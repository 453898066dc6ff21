"""One edit of a text in offsets, and what it does to spans of that text."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from difflib import SequenceMatcher
from itertools import accumulate
from typing import NamedTuple

from risk_lsp.text.document import Document, TextChange
from risk_lsp.text.positions import PositionEncoding, to_offset
from risk_lsp.text.spans import Span

_PAIRS_AT_MOST = 250_000  # old times new lines


class Edit(NamedTuple):
    """The characters [start, end), which were `removed`, were replaced by `inserted`."""

    start: int
    end: int
    removed: str
    inserted: str


def edit_of(document: Document, change: TextChange, encoding: PositionEncoding) -> Edit:
    """What a change does to a document; one that replaces the whole text is cut down to what differs."""
    if change.start is None or change.end is None:
        return _difference(document.text, change.text)
    one, other = to_offset(document, change.start, encoding), to_offset(document, change.end, encoding)
    start, end = min(one, other), max(one, other)
    return Edit(start, end, document.lines.slice(start, end), change.text)


def by_lines(edit: Edit) -> list[Edit]:
    """The edit as edits of the lines that differ, the last one first, so that each one's offsets are right when those
    before it are done. An edit of many lines stays whole."""
    olds, news = edit.removed.splitlines(keepends=True), edit.inserted.splitlines(keepends=True)
    if len(olds) < 2 or not news or len(olds) * len(news) > _PAIRS_AT_MOST:
        return [edit]
    starts = [edit.start, *(edit.start + length for length in accumulate(map(len, olds)))]
    changes = SequenceMatcher(None, olds, news, autojunk=False).get_opcodes()
    edits = [
        Edit(starts[one], starts[two], "".join(olds[one:two]), "".join(news[three:four]))
        for kind, one, two, three, four in changes
        if kind != "equal"
    ]
    return edits[::-1]


def moved_spans(spans: Iterable[Span], edit: Edit) -> list[Span]:
    """Where spans are after an edit: it grows or shrinks those that it is inside of, and cuts off what it replaces."""
    moved = (_moved(span, edit) for span in spans)
    return [span for span in moved if span.start < span.end]


def _moved(span: Span, edit: Edit) -> Span:
    by = len(edit.inserted) - (edit.end - edit.start)
    if edit.start >= span.end:
        return span
    if edit.end <= span.start:
        return Span(span.start + by, span.end + by)
    if span.start <= edit.start and edit.end <= span.end and (edit.start, edit.end) != span:
        return Span(span.start, span.end + by)
    start = span.start if edit.start >= span.start else edit.end + by
    end = edit.start if edit.end >= span.end else span.end + by
    return Span(start, max(start, end))


def _difference(before: str, after: str) -> Edit:
    top = _common_length(before, after)
    left, right = before[top:][::-1], after[top:][::-1]
    bottom = _common_length(left, right)
    end = len(before) - bottom
    return Edit(top, end, before[top:end], after[top : len(after) - bottom])


def _common_length(one: str, other: str) -> int:
    """How many characters two texts begin with in common, by halving: comparing slices is fast."""
    longest = min(len(one), len(other))
    return bisect_left(range(longest), True, key=lambda length: one[: length + 1] != other[: length + 1])
