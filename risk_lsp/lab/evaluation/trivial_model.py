"""A rival that knows little: a logistic model of where a span stands, how long it is, and how it begins."""

from __future__ import annotations

import keyword
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from risk_lsp.lab.evaluation.metrics import FloatArray
from risk_lsp.lab.evaluation.reliability import logistic_regression
from risk_lsp.lab.span_tables import SpanTable
from risk_lsp.text.document import Span
from risk_lsp.text.lines import LineIndex

_NEXT_TO_NOTHING = 1e-9


class LogisticModel(NamedTuple):
    """A logistic regression on features that are brought to mean 0 and variance 1."""

    mean: FloatArray
    scale: FloatArray
    regression: LogisticRegression

    def probability(self, features: FloatArray) -> FloatArray:
        """float64[n, features] -> float64[n]."""
        return np.asarray(self.regression.predict_proba((features - self.mean) / self.scale)[:, 1], dtype=np.float64)


def fit_logistic(
    features: FloatArray, labels: NDArray[np.bool_], weights: FloatArray, ridge: float = 1e-4
) -> LogisticModel:
    """The model of least weighted mean log-loss + ridge / 2 |coefficients|^2; the intercept is free.

    features: float64[n, features]; one that does not vary gets no say. labels: bool[n]. weights: float64[n], of which
    only the ratios count.
    """
    used = weights > 0
    mean = np.average(features[used], axis=0, weights=weights[used])
    spread = np.sqrt(np.average((features[used] - mean) ** 2, axis=0, weights=weights[used]))
    scale = np.where(spread > 1e-9, spread, np.inf)
    # A row of each label at the mean keeps the model finite where one class has no row; they weigh next to nothing.
    rows = np.concatenate([(features[used] - mean) / scale, np.zeros((2, features.shape[1]))])
    shares = np.append(weights[used] / weights[used].sum(), [_NEXT_TO_NOTHING, _NEXT_TO_NOTHING])
    regression = logistic_regression(rows, np.append(labels[used], [False, True]), shares, ridge=ridge)
    return LogisticModel(mean, scale, regression)


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
    heads = [lines.slice(lines.start(line), lines.content_end(line)) for line in first.tolist()]
    indent = np.array([len(head) - len(head.lstrip()) for head in heads])
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
