"""Self-consistency: a line that the same model writes again and again for the same task is likely to be right."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np

from risk_lsp.evaluation.records import FloatArray, IntArray
from risk_lsp.evaluation.spans import SpanTable
from risk_lsp.text.code_lines import code_line_spans
from risk_lsp.text.spans import Span

SIBLINGS = 5


def code_lines(text: str, scored: Span | None = None) -> list[str]:
    """The code lines of a program without the white space that does not matter in them."""
    return ["".join(text[start:end].split()) for start, end in code_line_spans(text, "python", scored)]


def disagreement(lines: Sequence[str], siblings: Sequence[Sequence[str]]) -> FloatArray:
    """The share of the siblings that lack each line, when all are aligned with it line by line, float64[lines]."""
    lacking = np.zeros(len(lines))
    for other in siblings:
        matcher = SequenceMatcher(None, lines, other, autojunk=False)
        present = np.zeros(len(lines), dtype=np.bool_)
        for start, _, size in matcher.get_matching_blocks():
            present[start : start + size] = True
        lacking += ~present
    return lacking / max(len(siblings), 1)


def span_disagreement(text: str, scored: Span, siblings: Sequence[Sequence[str]], spans: IntArray) -> FloatArray:
    """The mean disagreement over the code lines that each span overlaps, float64[spans]; 0 for one that meets none.

    `spans` int64[n, 2]. The score of a token is that of its line.
    """
    places = np.array(code_line_spans(text, "python", scored), dtype=np.int64).reshape(-1, 2)
    sums = np.concatenate(([0.0], np.cumsum(disagreement(code_lines(text, scored), siblings))))
    first = np.searchsorted(places[:, 1], spans[:, 0], side="right")
    last = np.maximum(np.searchsorted(places[:, 0], spans[:, 1], side="left"), first)
    # Differences of sums can leave [0, 1] by rounding.
    return np.clip((sums[last] - sums[first]) / np.maximum(last - first, 1), 0.0, 1.0)


def disagreement_of_table(
    texts: Sequence[tuple[str, Span]], siblings: Sequence[Sequence[Sequence[str]]], table: SpanTable
) -> FloatArray:
    """The score of every span of a table; NaN for the spans of programs without siblings."""
    bounds = np.searchsorted(table.program, np.arange(len(texts) + 1))
    scores = np.full(len(table), np.nan)
    for (text, scored), others, low, high in zip(texts, siblings, bounds[:-1], bounds[1:], strict=True):
        if others and low < high:
            spans = np.stack([table.start[low:high], table.end[low:high]], axis=1)
            scores[low:high] = span_disagreement(text, scored, others, spans)
    return scores
