"""The spans of labelled programs at each level, and which of them a fix touches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk_lsp.text.document import Span
from risk_lsp.text.structure import StructureNode, code_line_spans, parse_structure

Level = Literal["token", "line", "statement", "function", "program"]
LEVELS: tuple[Level, ...] = get_args(Level)


class LabelledText(NamedTuple):
    """A program as it is measured: only `scored` was written by a model; `edited` is what a fix touches.

    The tokens' spans, int[n] each, are those of the model that reads it.
    """

    text: str
    scored: Span
    edited: Sequence[Span]
    token_starts: NDArray[np.int32]
    token_ends: NDArray[np.int32]


@dataclass(frozen=True)
class SpanTable:
    """The spans of one level: `start`, `end` int64[n] into their program's text, `program` int64[n], `edited` bool[n].

    Programs are in order, and so are the spans of one.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    program: NDArray[np.int64]
    edited: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.start)


def span_tables(programs: Iterable[LabelledText]) -> dict[Level, SpanTable]:
    """The spans of every level that figures count, over all programs.

    Lines are code lines that a model wrote, tokens are those on them, statements and functions those that reach into
    them; a program is its whole text.
    """
    found: dict[Level, list[tuple[NDArray[np.int64], NDArray[np.bool_]]]] = {level: [] for level in LEVELS}
    for labelled in programs:
        for level, of_level in level_spans(labelled).items():
            found[level].append((of_level, overlap_mask(of_level[:, 0], of_level[:, 1], labelled.edited)))
    tables = {}
    for level, parts in found.items():
        spans = np.concatenate([part for part, _ in parts] or [_array([])])
        edited = np.concatenate([part for _, part in parts] or [np.zeros(0, dtype=np.bool_)])
        program = np.repeat(np.arange(len(parts)), [len(part) for part, _ in parts])
        tables[level] = SpanTable(spans[:, 0], spans[:, 1], program, edited)
    return tables


def level_spans(program: LabelledText) -> dict[Level, NDArray[np.int64]]:
    """The spans of one program by level, int64[n, 2] each."""
    text = program.text
    structure = parse_structure(text, "python")
    lines = code_line_spans(text, "python", program.scored, structure)
    tokens = np.stack([program.token_starts, program.token_ends], axis=1).astype(np.int64)
    return {
        "token": tokens[overlap_mask(tokens[:, 0], tokens[:, 1], lines)],
        "line": _array(lines),
        "statement": _reaching_into(lines, structure.statements),
        "function": _reaching_into(lines, structure.functions),
        "program": _array([Span(0, len(text))]),
    }


def overlap_mask(starts: ArrayLike, ends: ArrayLike, others: Sequence[Span]) -> NDArray[np.bool_]:
    """Which of the spans [start, end) overlap one of the others."""
    first, last = np.asarray(starts), np.asarray(ends)
    found = np.zeros(len(first), dtype=np.bool_)
    for start, end in others:
        found |= (first < end) & (last > start)
    return found


def shared_weights(weights: NDArray[np.float64], table: SpanTable) -> NDArray[np.float64]:
    """The weight of each program in equal parts for its spans, float64[spans]: problems weigh alike at each level."""
    counts = np.bincount(table.program, minlength=len(weights))
    return np.asarray((weights / np.maximum(counts, 1))[table.program], dtype=np.float64)


def _reaching_into(lines: Sequence[Span], nodes: Sequence[StructureNode]) -> NDArray[np.int64]:
    spans = _array([node.span for node in nodes])
    return spans[overlap_mask(spans[:, 0], spans[:, 1], lines)]


def _array(spans: Sequence[Span]) -> NDArray[np.int64]:
    return np.array(spans, dtype=np.int64).reshape(-1, 2)
