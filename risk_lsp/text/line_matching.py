"""Which line of an edited text was which before."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.text.document import Document

_PAIRS_AT_MOST = 250_000  # old times new lines in the edited part; a larger part counts as written anew


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
    for old_start, old_end, new_start, new_end in _blocks(
        olds[top : len(olds) - bottom], news[top : len(news) - bottom]
    ):
        old[top + new_start : top + new_end] = np.arange(top + old_start, top + old_end)
    return LineMatch(old, top)


def _blocks(olds: Sequence[str], news: Sequence[str]) -> list[tuple[int, int, int, int]]:
    """Runs of lines that match, of the same length in both lists."""
    if len(olds) * len(news) > _PAIRS_AT_MOST:
        return []
    changes = SequenceMatcher(None, olds, news, autojunk=False).get_opcodes()
    return [tuple(place) for _, *place in changes if place[1] - place[0] == place[3] - place[2]]  # type: ignore[misc]


def _common_start(one: Sequence[str], other: Sequence[str]) -> int:
    """How many items two lists begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))


def _contents(document: Document) -> list[str]:
    text, starts = document.text, document.lines.starts.tolist()
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
