"""What a frozen model gives for labelled programs: flat arrays of token features, in memory or in files."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.span_tables import overlap_mask
from risk_lsp.lab.training.labelled_programs import LabelledProgram
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.tokenizer import Encoding
from risk_lsp.probe.layout import OFF_LINE, TokenLayout, token_layout, token_lines
from risk_lsp.probe.token_hazards import feature_count, token_features
from risk_lsp.text.document import Span
from risk_lsp.text.normal_form import ModelText, Reading
from risk_lsp.text.structure import code_line_spans, sections, statement_starts


class FeatureCache:
    """The features that one model gives at some layers, by text. BadInput if a file is damaged.

    Each addition is a pair of files: NUMBER.npy float16[tokens, features], and NUMBER.json, the digest and number of
    tokens of each of its texts, which is written last: files of a run that was cut short count for nothing.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder / sha256(key.encode()).hexdigest()[:16]
        self._places: dict[str, NDArray[np.float16]] = {}
        for index in sorted(self._folder.glob("*.json")):
            self._open(index)

    def get(self, text: str) -> NDArray[np.float16] | None:
        """float16[tokens, features] of one text, mapped from its file; None if it was not read yet."""
        return self._places.get(_digest(text))

    def add(self, texts: Sequence[str], features: Sequence[NDArray[np.float16]]) -> None:
        """Keep the features of more texts."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{len(list(self._folder.glob('*.json'))):05}-{os.getpid()}"
        np.save(self._folder / f"{name}.npy", np.concatenate(features))
        index = self._folder / f"{name}.json"
        index.with_suffix(".part").write_text(
            json.dumps([[_digest(text), len(rows)] for text, rows in zip(texts, features, strict=True)])
        )
        index.with_suffix(".part").replace(index)
        self._open(index)

    def _open(self, index: Path) -> None:
        try:
            features: NDArray[np.float16] = np.load(index.with_suffix(".npy"), mmap_mode="r")
            place = 0
            for digest, count in json.loads(index.read_text()):
                self._places[digest] = features[place : place + count]
                place += count
            if place != len(features):
                raise ValueError(f"{len(features)} tokens where {place} are listed")
        except (OSError, ValueError, TypeError) as error:
            raise BadInput(f"{index} is damaged: {error}", f"remove {self._folder}") from None


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


TEXTS_AT_ONCE = 512
_HALF_LIMIT = 60_000.0  # float16 ends at 65,504


def read_features(
    model: CodeModel,
    texts: Sequence[str],
    encodings: Sequence[Encoding],
    layers: Sequence[int],
    *,
    statistics: bool,
    cache: FeatureCache | None = None,
) -> NDArray[np.float16]:
    """float16[tokens, features], text after text. What the cache holds is not computed again; the rest is added."""
    places = np.cumsum([0, *map(len, encodings)])
    features = np.empty((places[-1], feature_count(len(layers), model.width, statistics=statistics)), dtype=np.float16)
    missing: list[int] = []
    for index, text in enumerate(texts):
        known = None if cache is None else cache.get(text)
        if known is None:
            missing.append(index)
        else:
            features[places[index] : places[index + 1]] = known
    for first in range(0, len(missing), TEXTS_AT_ONCE):
        batch = missing[first : first + TEXTS_AT_ONCE]
        chosen = [texts[index] for index in batch]
        rows = list(_read_texts(model, chosen, [encodings[index] for index in batch], layers, statistics=statistics))
        for index, each in zip(batch, rows, strict=True):
            features[places[index] : places[index + 1]] = each
        if cache is not None:
            cache.add(chosen, rows)
        print(f"read {first + len(batch):,} of {len(missing):,} programs", file=sys.stderr, flush=True)
    return features


def _read_texts(
    model: CodeModel, texts: Sequence[str], encodings: Sequence[Encoding], layers: Sequence[int], *, statistics: bool
) -> Iterator[NDArray[np.float16]]:
    boundaries = [
        # Only texts that need more than one window are cut, so only they need to be parsed.
        encoding.tokens_at(statement_starts(text, "python")).tolist() if len(encoding) >= model.window - 1 else ()
        for text, encoding in zip(texts, encodings, strict=True)
    ]
    for read in model.read_many(encodings, layers, boundaries=boundaries, statistics=statistics):
        rows = token_features(read, statistics=statistics)
        yield np.clip(rows, -_HALF_LIMIT, _HALF_LIMIT).astype(np.float16)


def feature_key(model: CodeModel, layers: Sequence[int], *, statistics: bool) -> str:
    """The key by which a cache keeps what a model gives."""
    return f"{model.weights_hash} {model.tokenizer_hash} {model.dtype} {[*layers]} {statistics}"


Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FeatureStore:
    """The tokens and lines (blank ones aside) of many programs, one program after the other.

    `features` float16[tokens, features]; `token_start`, `token_end` int32[tokens] into the
    program's text; `token_edited` bool[tokens]; `token_line` int64[tokens], OFF_LINE for white space; `token_program`
    int64[tokens]. `line_edited` bool[lines]; `line_scored` bool[lines] is true for the code that a model wrote and
    false for prompts, comments and docstrings, which a probe learns to leave alone but which no figure counts;
    `line_program` int64[lines]. `token_part` int64[tokens] and `line_part` int64[lines] number the parts that a program
    is read in; every program has one or more. `line_looks` float32[lines, LOOKS] as in TokenLayout.
    `part_program` int64[parts]. `program_edited` bool[programs]. All in order, so those of one program are one run.
    """

    features: NDArray[np.float16]
    token_start: NDArray[np.int32]
    token_end: NDArray[np.int32]
    token_edited: NDArray[np.bool_]
    token_line: NDArray[np.int64]
    token_program: NDArray[np.int64]
    line_edited: NDArray[np.bool_]
    line_scored: NDArray[np.bool_]
    line_program: NDArray[np.int64]
    token_part: NDArray[np.int64]
    line_part: NDArray[np.int64]
    line_looks: NDArray[np.float32]
    part_program: NDArray[np.int64]
    program_edited: NDArray[np.bool_]

    @property
    def has_tokens(self) -> NDArray[np.bool_]:
        """Whether each program holds a token at all, bool[programs]: an empty one can teach nothing."""
        return np.diff(self.token_bounds) > 0

    @cached_property
    def token_bounds(self) -> NDArray[np.int64]:
        """Where each program's tokens begin, int64[programs + 1]; the last is the number of tokens."""
        return np.searchsorted(self.token_program, np.arange(len(self.program_edited) + 1))

    @cached_property
    def line_bounds(self) -> NDArray[np.int64]:
        """Where each program's lines begin, int64[programs + 1]; the last is the number of lines."""
        return np.searchsorted(self.line_program, np.arange(len(self.program_edited) + 1))

    @cached_property
    def part_bounds(self) -> NDArray[np.int64]:
        """Where each program's parts begin, int64[programs + 1]; the last is the number of parts."""
        return np.searchsorted(self.part_program, np.arange(len(self.program_edited) + 1))

    def select(self, programs: NDArray[np.int64], columns: NDArray[np.int64] | None = None) -> FeatureStore:
        """The tokens and lines of these programs, in this order; a program may occur several times."""
        tokens = _runs(self.token_bounds, programs)
        lines = _runs(self.line_bounds, programs)
        line_counts, token_counts, part_counts = (
            np.diff(bounds)[programs] for bounds in (self.line_bounds, self.token_bounds, self.part_bounds)
        )
        shift = np.cumsum(line_counts) - line_counts - self.line_bounds[programs]
        part_shift = np.cumsum(part_counts) - part_counts - self.part_bounds[programs]
        token_line = self.token_line[tokens]
        features = self.features[tokens]
        return FeatureStore(
            features if columns is None else features[:, columns],
            self.token_start[tokens],
            self.token_end[tokens],
            self.token_edited[tokens],
            np.where(token_line == OFF_LINE, OFF_LINE, token_line + np.repeat(shift, token_counts)),
            np.repeat(np.arange(len(programs)), token_counts),
            self.line_edited[lines],
            self.line_scored[lines],
            np.repeat(np.arange(len(programs)), line_counts),
            self.token_part[tokens] + np.repeat(part_shift, token_counts),
            self.line_part[lines] + np.repeat(part_shift, line_counts),
            self.line_looks[lines],
            np.repeat(np.arange(len(programs)), part_counts),
            self.program_edited[programs],
        )


@dataclass(frozen=True)
class WeightedPrograms:
    """The programs of a store and what each weighs, float64[programs]: as a whole, and with its tokens and lines."""

    store: FeatureStore
    weights: Floats
    span_weights: Floats

    @property
    def emphasis(self) -> Floats:
        """How much the tokens and lines of a program count if it is drawn by its weight; 0 where they are unknown."""
        return np.divide(self.span_weights, self.weights, out=np.zeros_like(self.weights), where=self.weights > 0)

    @cached_property
    def line_weights(self) -> Floats:
        """What each line weighs, float64[lines]: the scored lines of a program share its weight equally."""
        return _share_weights(self.span_weights, self.store.line_program, self.store.line_scored)

    @cached_property
    def token_weights(self) -> Floats:
        """What each token weighs, float64[tokens]: those on the scored lines of a program share its weight equally."""
        line = self.store.token_line
        scored = (line != OFF_LINE) & self.store.line_scored[line]
        return _share_weights(self.span_weights, self.store.token_program, scored)

    def only(self, wanted: NDArray[np.bool_]) -> WeightedPrograms:
        """The same programs, but those outside `wanted` bool[programs] weigh nothing."""
        return WeightedPrograms(self.store, self.weights * wanted, self.span_weights * wanted)


def collect_features(
    model: CodeModel,
    programs: Sequence[LabelledProgram],
    layers: Sequence[int],
    *,
    statistics: bool,
    layout: bool = False,
    reading: Reading = "verbatim",
    cache: Path | None = None,
    parts: Callable[[str], list[Span]] = sections,
) -> FeatureStore:
    """Run the model over every program once and keep what the probe may look at; with `cache`, once and for all.

    With `layout` the first LAYOUT features of a token are where it stands in its part. `reading` is how the bundle
    reads a program; lines are those of what is read. `parts` of that are read each as if it stood alone. What a fix
    touches of a comment counts for nothing where comments are not read.
    """
    given = [ModelText(program.text, reading) for program in programs]
    texts = [each.text for each in given]
    encodings = [model.encode(text) for text in texts]
    kept = None if cache is None else FeatureCache(cache, feature_key(model, layers, statistics=statistics))
    features = read_features(model, texts, encodings, layers, statistics=statistics, cache=kept)
    cut = [parts(text) for text in texts]
    layouts = [
        token_layout(text, encoding.starts, encoding.ends, spans)
        for text, encoding, spans in zip(texts, encodings, cut, strict=True)
    ]
    if layout:
        features = np.concatenate(
            [np.concatenate([each.columns for each in layouts]).astype(np.float16), features], axis=1
        )
    counts = [len(spans) for spans in cut]
    labels = [_labels(*each) for each in zip(programs, given, encodings, layouts, counts, strict=True)]
    return _join_features(features, labels, programs)


@dataclass(frozen=True)
class _Labels:
    """One program's tokens and lines, numbered from 0."""

    token_start: NDArray[np.int32]
    token_end: NDArray[np.int32]
    token_edited: NDArray[np.bool_]
    token_line: NDArray[np.int64]
    line_edited: NDArray[np.bool_]
    line_scored: NDArray[np.bool_]
    layout: TokenLayout
    part_count: int


def _labels(
    program: LabelledProgram, given: ModelText, encoding: Encoding, layout: TokenLayout, part_count: int
) -> _Labels:
    token_line, lines = token_lines(given.text, encoding.starts, encoding.ends)
    first, last = np.array(lines, dtype=np.int64).reshape(-1, 2).T
    line_start, line_end = given.spans_in_document(first, last)
    token_start, token_end = given.spans_in_document(encoding.starts, encoding.ends)
    scored = [line.start for line in code_line_spans(program.text, "python", program.scored)]
    edited = program.edited or ()
    return _Labels(
        token_start,
        token_end,
        overlap_mask(token_start, token_end, edited),
        token_line,
        overlap_mask(line_start, line_end, edited),
        np.isin(line_start, scored),
        layout,
        part_count,
    )


def _join_features(
    features: NDArray[np.float16], labels: Sequence[_Labels], programs: Sequence[LabelledProgram]
) -> FeatureStore:
    token_counts = [len(each.token_line) for each in labels]
    line_counts = [len(each.line_edited) for each in labels]
    part_counts = [each.part_count for each in labels]
    first_lines, first_parts = (np.cumsum([0, *counts[:-1]]) for counts in (line_counts, part_counts))
    shifted = [
        np.where(each.token_line == OFF_LINE, OFF_LINE, each.token_line + first)
        for each, first in zip(labels, first_lines, strict=True)
    ]
    return FeatureStore(
        features,
        np.concatenate([each.token_start for each in labels]),
        np.concatenate([each.token_end for each in labels]),
        np.concatenate([each.token_edited for each in labels]),
        np.concatenate(shifted),
        np.repeat(np.arange(len(labels)), token_counts),
        np.concatenate([each.line_edited for each in labels]),
        np.concatenate([each.line_scored for each in labels]),
        np.repeat(np.arange(len(labels)), line_counts),
        np.concatenate([each.layout.part + first for each, first in zip(labels, first_parts, strict=True)]),
        np.concatenate([each.layout.line_part + first for each, first in zip(labels, first_parts, strict=True)]),
        np.concatenate([each.layout.looks for each in labels]),
        np.repeat(np.arange(len(labels)), part_counts),
        np.array([not program.passed for program in programs], dtype=np.bool_),
    )


def _share_weights(weights: Floats, program: NDArray[np.int64], counted: NDArray[np.bool_]) -> Floats:
    """The weight of each program in equal parts for those of its spans that count; 0 for the others."""
    counts = np.bincount(program[counted], minlength=len(weights))
    return np.where(counted, (weights / np.maximum(counts, 1))[program], 0.0)


def _runs(bounds: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """The indices of the runs [bounds[c], bounds[c + 1]) for each chosen c, one after the other."""
    counts = np.diff(bounds)[chosen]
    before = np.cumsum(counts) - counts
    return np.repeat(bounds[chosen] - before, counts) + np.arange(counts.sum())
