"""Rivals that know little: the model's token probability, and a logistic model of a span's place and beginning."""

from __future__ import annotations

import keyword
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk_lsp.lab.evaluation.metrics import FloatArray
from risk_lsp.lab.training.spans import SpanTable
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span


def improbability(
    starts: ArrayLike, ends: ArrayLike, token_starts: ArrayLike, token_ends: ArrayLike, log_probabilities: ArrayLike
) -> FloatArray:
    """1 minus the geometric mean of the probabilities of the tokens that overlap each span, float64[spans].

    `log_probabilities` are in nats, one per token; a span without tokens scores 0 (arXiv 2512.24560).
    """
    sums = np.concatenate(([0.0], np.cumsum(np.asarray(log_probabilities, dtype=np.float64))))
    first = np.searchsorted(np.asarray(token_ends), np.asarray(starts), side="right")
    last = np.maximum(np.searchsorted(np.asarray(token_starts), np.asarray(ends), side="left"), first)
    # A log-probability is never above 0, but sums of many differ by rounding.
    mean = np.minimum(sums[last] - sums[first], 0.0) / np.maximum(last - first, 1)
    return np.asarray(1.0 - np.exp(mean), dtype=np.float64)


_STEPS = 50


class LogisticModel(NamedTuple):
    """p = sigmoid((x - mean) / scale @ coefficients + intercept)."""

    mean: FloatArray
    scale: FloatArray
    coefficients: FloatArray
    intercept: float

    def probability(self, features: FloatArray) -> FloatArray:
        """float64[n, features] -> float64[n]."""
        return _sigmoid((features - self.mean) / self.scale @ self.coefficients + self.intercept)


def fit_logistic(
    features: FloatArray, labels: NDArray[np.bool_], weights: FloatArray, ridge: float = 1e-4
) -> LogisticModel:
    """Least weighted mean log-loss + ridge / 2 |coefficients|^2 of standardised features; the intercept is free.

    Features that do not vary get no say. Weights need not sum to anything.
    """
    used = weights > 0
    x, y, w = features[used], labels[used].astype(np.float64), weights[used] / weights[used].sum()
    mean = w @ x
    spread = np.sqrt(w @ (x - mean) ** 2)
    scale = np.where(spread > 1e-9, spread, np.inf)
    design = np.concatenate([(x - mean) / scale, np.ones((len(x), 1))], axis=1)
    penalty = np.append(np.full(x.shape[1], ridge), 0.0)
    parameters = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        fitted = _sigmoid(design @ parameters)
        gradient = design.T @ (w * (fitted - y)) + penalty * parameters
        # The small term keeps a class without a single case from asking for an infinite step.
        curvature = (design * (w * fitted * (1.0 - fitted))[:, None]).T @ design + np.diag(penalty + 1e-9)
        step = np.linalg.solve(curvature, gradient)
        parameters -= np.clip(step, -4.0, 4.0)
        if np.abs(step).max() < 1e-8:
            break
    return LogisticModel(mean, scale, parameters[:-1], float(parameters[-1]))


def _sigmoid(z: FloatArray) -> FloatArray:
    # exp(-log(1 + exp(-z))) overflows for no z.
    return np.asarray(np.exp(-np.logaddexp(0.0, -z)), dtype=np.float64)


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
