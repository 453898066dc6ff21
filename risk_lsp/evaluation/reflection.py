"""Reflective prompting: a language model is asked, line by line, how likely the line has to be edited."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from risk_lsp.evaluation.records import FloatArray
from risk_lsp.evaluation.spans import SpanTable
from risk_lsp.text.code_lines import code_line_spans
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span

_QUESTION = """\
Here is a Python program that is meant to do what it says. It may be wrong.

{program}

For each of these lines: how likely is it that the line has to be edited before the program does what was asked?
Lines: {lines}

Answer with one row per line and nothing else, the line's number and a probability from 0 to 1:
{example}
"""
# "L12: 0.4", "line 12 - 40%", "12. 0.4", "| 12 | 0.4 |", "**L12**: .4"; a minus sign belongs to no probability
_ROW = re.compile(
    r"^[\s|*\-]*(?:L(?:ine)?\s*)?(\d+)[*\s]*(?:[\s:|=,)\-]|\.\s)+(?<!-)(\d+(?:\.\d+)?|\.\d+)\s*(%?)[\s|*]*$",
    re.IGNORECASE | re.MULTILINE,
)


def question_about(text: str, scored: Span) -> str:
    """The prompt: the program with numbered lines, and which of them are asked about."""
    lines = text.splitlines()
    asked = [f"L{number}" for number in asked_lines(text, scored)]
    program = "\n".join(f"L{number:<4} {line}" for number, line in enumerate(lines, 1))
    example = "\n".join(f"{name}: 0.{digit}" for name, digit in zip(asked[:2], (1, 7), strict=False))
    return _QUESTION.format(program=program, lines=", ".join(asked), example=example)


def asked_lines(text: str, scored: Span) -> list[int]:
    """The numbers, from 1, of the code lines that a model wrote."""
    lines = LineIndex(text)
    return [lines.line_of(span.start) + 1 for span in code_line_spans(text, "python", scored)]


def probabilities_of(answer: str, asked: Sequence[int]) -> dict[int, float]:
    """The probability of each line that the answer gives one for; other rows, and numbers beyond 1, are passed over.

    A percentage counts as such; of two rows for one line the last counts.
    """
    found: dict[int, float] = {}
    for number, value, percent in _ROW.findall(answer):
        probability = float(value) / (100.0 if percent else 1.0)
        if int(number) in asked and probability <= 1.0:
            found[int(number)] = probability
    return found


def span_reflections(text: str, scored: Span, by_line: dict[int, float], spans: np.ndarray) -> FloatArray:
    """The highest answer among the code lines that each span int64[n, 2] overlaps, float64[n]; NaN where none is."""
    places = np.array(code_line_spans(text, "python", scored), dtype=np.int64).reshape(-1, 2)
    values = np.array([by_line.get(number, np.nan) for number in asked_lines(text, scored)], dtype=np.float64)
    overlaps = (places[None, :, 0] < spans[:, None, 1]) & (places[None, :, 1] > spans[:, None, 0])
    answered = np.where(overlaps & ~np.isnan(values), values, -1.0)
    best = answered.max(axis=1, initial=-1.0)
    return np.where(best >= 0.0, best, np.nan)


def reflections_of_table(
    texts: Sequence[tuple[str, Span]], answers: Sequence[dict[int, float]], table: SpanTable
) -> FloatArray:
    """The score of every span of a table; NaN where no line of it was answered."""
    bounds = np.searchsorted(table.program, np.arange(len(texts) + 1))
    scores = np.full(len(table), np.nan)
    for (text, scored), by_line, low, high in zip(texts, answers, bounds[:-1], bounds[1:], strict=True):
        if by_line and low < high:
            spans = np.stack([table.start[low:high], table.end[low:high]], axis=1)
            scores[low:high] = span_reflections(text, scored, by_line, spans)
    return scores
