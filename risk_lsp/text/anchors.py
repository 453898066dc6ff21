"""Finding a line again in a text that was edited, by hashes of its content and of the lines around it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from risk_lsp.text.document import Document
from risk_lsp.text.spans import stripped_line_spans

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

    It has the same content and at least one of the same lines around it. Of several the one with more of them wins,
    then the one nearest to where it was; no two anchors mean one line.
    """
    places: dict[str, list[int]] = {}
    for place, hashed in enumerate(lines):
        places.setdefault(hashed.content, []).append(place)
    candidates = []
    for anchor in anchors:
        for place in places.get(anchor.content, ()):
            score = _likeness(anchor, lines, place)
            if score > 0:
                candidates.append((-score, abs(lines[place].line - anchor.line), lines[place].line, anchor))
    found: dict[LineAnchor, int] = {}
    taken = set()
    for _, _, line, anchor in sorted(candidates):
        if anchor not in found and line not in taken:
            found[anchor] = line
            taken.add(line)
    return found


def _likeness(anchor: LineAnchor, lines: Sequence[HashedLine], place: int) -> int:
    """How much of the context is the same; a line that was alone in its text needs none."""
    before, after = _context(lines, place)
    if not anchor.before and not anchor.after:
        return 1
    return len(set(anchor.before) & set(before)) + len(set(anchor.after) & set(after))


def _context(lines: Sequence[HashedLine], place: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    before = lines[max(place - _AROUND, 0) : place]
    after = lines[place + 1 : place + 1 + _AROUND]
    return tuple(hashed.content for hashed in reversed(before)), tuple(hashed.content for hashed in after)
