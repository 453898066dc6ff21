"""What can be said of a span without understanding it: where it stands, how long it is, how it begins."""

from __future__ import annotations

import keyword

import numpy as np
from numpy.typing import NDArray

from risk_lsp.evaluation.records import FloatArray
from risk_lsp.evaluation.spans import SpanTable
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span

# Of a span's first word: statements' keywords, then kinds of everything else.
_WORDS = ("return", "if", "for", "def", "elif", "else", "while", "import", "from", "class", "try", "except", "break")
_KINDS = ("keyword", "name", "number", "string", "sign", "nothing")
_WORD_CATEGORIES = (*_WORDS, *_KINDS)
FEATURES = 8 + len(_WORD_CATEGORIES)


def trivial_features(text: str, scored: Span, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> FloatArray:
    """float64[spans, FEATURES]: position, length, indentation, length of the program, and the first word's kind."""
    lines = LineIndex(text)
    first = np.searchsorted(lines.starts, starts, side="right") - 1
    last = np.searchsorted(lines.starts, np.maximum(ends - 1, starts), side="right") - 1
    begin = int(np.searchsorted(lines.starts, scored.start, side="right")) - 1
    count = max(lines.count - begin, 1)
    place = (first - begin) / count
    indent = np.array(
        [_indentation(lines.slice(lines.start(line), lines.content_end(line))) for line in first.tolist()]
    )
    numbers = np.stack(
        [
            place,
            place**2,
            np.log1p(np.maximum(first - begin, 0)),
            np.log1p(ends - starts),
            np.log1p(last - first),
            (starts - lines.starts[first]) / 80.0,
            indent / 8.0,
            np.full(len(starts), np.log1p(count)),
        ],
        axis=1,
    ).reshape(len(starts), 8)
    words = np.zeros((len(starts), len(_WORD_CATEGORIES)))
    for row, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        words[row, _WORD_CATEGORIES.index(_category(text[start : min(end, start + 40)]))] = 1.0
    return np.concatenate([numbers, words], axis=1)


def trivial_feature_table(texts: list[tuple[str, Span]], table: SpanTable) -> FloatArray:
    """The features of every span of a table, float64[spans, FEATURES]; `texts` are its programs."""
    bounds = np.searchsorted(table.program, np.arange(len(texts) + 1))
    parts = [
        trivial_features(text, scored, table.start[low:high], table.end[low:high])
        for (text, scored), low, high in zip(texts, bounds[:-1], bounds[1:], strict=True)
    ]
    return np.concatenate([np.zeros((0, FEATURES)), *parts])


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _category(text: str) -> str:
    text = text.lstrip()
    word = text[: next((place for place, sign in enumerate(text) if not (sign.isalnum() or sign == "_")), len(text))]
    if word in _WORDS:
        return word
    if keyword.iskeyword(word):
        return "keyword"
    if word:
        return "number" if word[0].isdigit() else "name"
    if not text:
        return "nothing"
    return "string" if text[0] in "\"'" else "sign"
