"""Which parts of the open documents a model seems to have written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from risk_lsp.text.document import Document, Span
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


_REMOVALS_KEPT = 20
_MOSTLY = 0.8  # of the lines, for text to count as what was removed a moment ago


class GeneratedRegions:
    """Regions by document, moved along with every edit. A person's mark counts as much as what was found."""

    def __init__(self) -> None:
        self._spans: dict[str, list[Span]] = {}
        self._new: dict[str, list[Span]] = {}  # what became generated and was not taken yet
        self._removals: deque[tuple[frozenset[str], bool]] = deque(maxlen=_REMOVALS_KEPT)  # lines; were they marked?

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
        removed = content_lines(edit.removed)
        if is_large(removed):
            self._removals.append((frozenset(removed), was_marked))
        if self._is_generated(edit.inserted, open_now, most_lines):
            self._add(uri, Span(edit.start, edit.start + len(edit.inserted)))

    def mark(self, document: Document, span: Span) -> None:
        """A person says that a model wrote this; an empty span means its line, of which a blank one has nothing."""
        span = span if span.start < span.end else _line_at(document, span.start)
        if span.start < span.end:
            self._add(document.uri, span)

    def unmark(self, document: Document, span: Span) -> None:
        """A person says that no model wrote this; an empty span means the region around it."""
        if span.start == span.end:
            around = (each for each in self._spans.get(document.uri, ()) if each.start <= span.start <= each.end)
            span = next(around, span)
        kept = [part for each in self._spans.get(document.uri, ()) for part in _without(each, span)]
        self._spans[document.uri] = kept
        self._new[document.uri] = [part for each in self._new.get(document.uri, ()) for part in _without(each, span)]

    def take_new(self, document: Document) -> list[Span]:
        """The spans of the newest text that became generated since this was asked last."""
        return self._new.pop(document.uri, [])

    def forget(self, uri: str) -> None:
        """Drop what is known of a document."""
        self._spans.pop(uri, None)
        self._new.pop(uri, None)

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


def _line_at(document: Document, offset: int) -> Span:
    line = document.lines.line_of(offset)
    return Span(document.lines.start(line), document.lines.content_end(line))
