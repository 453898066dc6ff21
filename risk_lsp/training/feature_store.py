"""Labelled programs as flat arrays of token features, so that a probe is fitted without running the model again."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from risk_lsp.model.activations import Activations
from risk_lsp.model.code_model import CodeModel
from risk_lsp.probe.features import token_features
from risk_lsp.text.code_lines import code_line_spans
from risk_lsp.text.spans import Span, stripped_line_spans
from risk_lsp.text.structure import statement_starts
from risk_lsp.training.labelled import LabelledProgram

_PROGRAMS_AT_ONCE = 128
_HALF_LIMIT = 60_000.0  # float16 ends at 65,504


@dataclass(frozen=True)
class FeatureStore:
    """Tokens of the lines, blank ones aside, of many programs, one after the other.

    `features` float16[tokens, features]; `token_edited` bool[tokens]; `token_line` int64[tokens] is the line each token
    is on; `line_edited` bool[lines]; `line_scored` bool[lines] is true for the code that a model wrote and false for
    prompts, comments and docstrings, which a probe learns to leave alone but which no figure counts; `line_program`
    int64[lines]; `program_edited` bool[programs]. Tokens, lines and programs are in order, so those of one program are
    one run.
    """

    features: NDArray[np.float16]
    token_edited: NDArray[np.bool_]
    token_line: NDArray[np.int64]
    line_edited: NDArray[np.bool_]
    line_scored: NDArray[np.bool_]
    line_program: NDArray[np.int64]
    program_edited: NDArray[np.bool_]

    @property
    def token_program(self) -> NDArray[np.int64]:
        """The program each token belongs to."""
        return self.line_program[self.token_line]

    @property
    def has_tokens(self) -> NDArray[np.bool_]:
        """Whether each program holds a token at all, bool[programs]: a blank one can teach nothing."""
        return np.bincount(self.token_program, minlength=len(self.program_edited)) > 0

    def select(self, programs: NDArray[np.int64], columns: NDArray[np.int64] | None = None) -> FeatureStore:
        """The tokens and lines of these programs, in this order; a program may occur several times."""
        token_bounds = np.searchsorted(self.token_program, np.arange(len(self.program_edited) + 1))
        line_bounds = np.searchsorted(self.line_program, np.arange(len(self.program_edited) + 1))
        tokens = _runs(token_bounds, programs)
        lines = _runs(line_bounds, programs)
        line_counts = (line_bounds[1:] - line_bounds[:-1])[programs]
        shift = np.concatenate(([0], np.cumsum(line_counts)[:-1])) - line_bounds[programs]
        token_counts = (token_bounds[1:] - token_bounds[:-1])[programs]
        features = self.features[tokens] if columns is None else self.features[np.ix_(tokens, columns)]
        return FeatureStore(
            features,
            self.token_edited[tokens],
            self.token_line[tokens] + np.repeat(shift, token_counts),
            self.line_edited[lines],
            self.line_scored[lines],
            np.repeat(np.arange(len(programs)), line_counts),
            self.program_edited[programs],
        )


def collect_features(
    model: CodeModel, programs: Sequence[LabelledProgram], layers: Sequence[int], *, statistics: bool
) -> FeatureStore:
    """Run the model over every program once and keep what the probe may look at."""
    pieces: list[_Piece] = []
    for first in range(0, len(programs), _PROGRAMS_AT_ONCE):
        batch = programs[first : first + _PROGRAMS_AT_ONCE]
        encodings = [model.encode(program.text) for program in batch]
        boundaries = [
            encoding.tokens_at(statement_starts(program.text, "python")).tolist()
            for program, encoding in zip(batch, encodings, strict=True)
        ]
        read = model.read_many(encodings, layers, boundaries=boundaries, statistics=statistics)
        pieces += [_piece(*pair, statistics=statistics) for pair in zip(batch, read, strict=True)]
        if first % (8 * _PROGRAMS_AT_ONCE) == 0:
            print(f"read {first + len(batch):,} of {len(programs):,} programs", file=sys.stderr, flush=True)
    return _joined(pieces, programs)


@dataclass(frozen=True)
class _Piece:
    features: NDArray[np.float16]
    token_edited: NDArray[np.bool_]
    token_line: NDArray[np.int64]
    line_edited: NDArray[np.bool_]
    line_scored: NDArray[np.bool_]


def _piece(program: LabelledProgram, activations: Activations, *, statistics: bool) -> _Piece:
    lines = [line for line in stripped_line_spans(program.text) if line.start < line.end]
    scored = set(code_line_spans(program.text, "python", program.scored))
    edited = program.edited or ()
    starts, ends = activations.encoding.starts, activations.encoding.ends
    line_starts = np.array([line.start for line in lines], dtype=np.int64)
    line_ends = np.array([line.end for line in lines], dtype=np.int64)
    # The first line that reaches past the token's start, if it also begins before the token ends.
    line_of = np.searchsorted(line_ends, starts, side="right")
    on_line = np.zeros(len(starts), dtype=np.bool_)
    reachable = line_of < len(lines)
    on_line[reachable] = line_starts[line_of[reachable]] < ends[reachable]
    features = np.clip(token_features(activations, statistics=statistics)[on_line], -_HALF_LIMIT, _HALF_LIMIT)
    return _Piece(
        features.astype(np.float16),
        _touched(starts[on_line], ends[on_line], edited),
        line_of[on_line].astype(np.int64),
        _touched(line_starts, line_ends, edited),
        np.array([line in scored for line in lines], dtype=np.bool_),
    )


def _touched(starts: NDArray[np.integer], ends: NDArray[np.integer], edited: Sequence[Span]) -> NDArray[np.bool_]:
    touched = np.zeros(len(starts), dtype=np.bool_)
    for start, end in edited:
        touched |= (starts < end) & (ends > start)
    return touched


def _joined(pieces: Sequence[_Piece], programs: Sequence[LabelledProgram]) -> FeatureStore:
    line_counts = [len(piece.line_edited) for piece in pieces]
    first_lines = np.concatenate(([0], np.cumsum(line_counts)[:-1])).astype(np.int64)
    return FeatureStore(
        np.concatenate([piece.features for piece in pieces]),
        np.concatenate([piece.token_edited for piece in pieces]),
        np.concatenate([piece.token_line + first for piece, first in zip(pieces, first_lines, strict=True)]),
        np.concatenate([piece.line_edited for piece in pieces]),
        np.concatenate([piece.line_scored for piece in pieces]),
        np.repeat(np.arange(len(pieces)), line_counts),
        np.array([not program.passed for program in programs], dtype=np.bool_),
    )


def _runs(bounds: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """The indices of the runs [bounds[c], bounds[c + 1]) for each chosen c, one after the other."""
    counts = (bounds[1:] - bounds[:-1])[chosen]
    before = np.concatenate(([0], np.cumsum(counts)[:-1])) if len(counts) else counts
    return np.repeat(bounds[chosen] - before, counts) + np.arange(counts.sum())
