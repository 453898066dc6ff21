"""The columns that are measured side by side: bundles as they ship, a model of trivial features, and line length."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from risk_lsp.lab.evaluation.figures import TRIVIAL
from risk_lsp.lab.evaluation.rivals import LogisticModel, fit_logistic, trivial_features
from risk_lsp.lab.span_tables import SpanTable, overlap_mask, shared_weights
from risk_lsp.lab.training.labelled_programs import ProbeData
from risk_lsp.probe.calibration import Place, all_lines
from risk_lsp.report.wording import shown_progress
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.presentation import place_risks
from risk_lsp.text.document import LineIndex, Span
from risk_lsp.text.structure import code_line_spans

LENGTH = "line length"
_MIDDLE_LENGTH = 40.0  # characters; a line of so many scores .5
_CHARACTERS_AT_ONCE = 60_000
Floats = NDArray[np.float64]
Lines = NDArray[np.int64]


class Passage(NamedTuple):
    """A text, its lines int64[lines, 2] as [start, end), and `whole`, the part of the text that holds them."""

    text: str
    lines: Lines
    whole: Span


class Answer(NamedTuple):
    """The score of each line of a passage float64[lines], and that of the whole."""

    lines: Floats
    whole: float


class Column(Protocol):
    """Something that scores lines and texts from 0 to 1."""

    @property
    def name(self) -> str:
        """What its column is called."""

    @property
    def is_level(self) -> bool:
        """Whether its scores are probabilities; otherwise only their order means anything."""

    def at_rest(self) -> Column:
        """The column as it scores code at rest, if it is one that tells that from code that was just generated."""

    def answers(self, passages: Sequence[Passage]) -> list[Answer]:
        """The scores of passages, in their order."""


def passage_of(text: str, within: Span | None = None) -> Passage:
    """The lines of Python code in a text, or in a part of it."""
    whole = within or Span(0, len(text))
    lines = np.array(code_line_spans(text, "python", whole), dtype=np.int64).reshape(-1, 2)
    return Passage(text, lines, whole)


def line_table(passages: Sequence[Passage], edited: Sequence[Sequence[Span]]) -> SpanTable:
    """The lines of passages, and which of them the edited spans of their text touch."""
    lines = np.concatenate([passage.lines for passage in passages])
    return SpanTable(
        lines[:, 0],
        lines[:, 1],
        np.repeat(np.arange(len(passages)), [len(passage.lines) for passage in passages]),
        np.concatenate(
            [
                overlap_mask(lines[:, 0], lines[:, 1], spans)
                for (_, lines, _), spans in zip(passages, edited, strict=True)
            ]
        ),
    )


class BundleColumn:
    """A bundle, read as the product reads it in one place."""

    is_level = True

    def __init__(self, engine: Engine, place: Place = Place.GENERATED) -> None:
        self._engine = engine
        self._place = place

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self._engine.manifest.name

    def at_rest(self) -> BundleColumn:
        """The bundle, reading code at rest."""
        return BundleColumn(self._engine, Place.AT_REST)

    def answers(self, passages: Sequence[Passage]) -> list[Answer]:
        """The scores of passages, in their order; texts of similar length share a run of the model.

        How far this is, which takes a large model hours, is shown on the standard error stream.
        """
        found: list[Answer] = []
        with shown_progress(sys.stderr, f"texts read by {self.name}", len(passages)) as progress:
            while len(found) < len(passages):
                batch = _next_batch(passages, len(found))
                scored = self._engine.score_many([passage.text for passage in batch])
                for passage, score in zip(batch, scored, strict=True):
                    lines = LineIndex(passage.text)
                    places = all_lines(self._place, lines.count)
                    risk = place_risks(score, lines, places, self._engine.manifest.priors, "python").risks
                    found.append(Answer(risk.probabilities(*passage.lines.T), risk.probability(*passage.whole)))
                progress.show(len(found))
        return found


def _next_batch(passages: Sequence[Passage], first: int) -> Sequence[Passage]:
    """Passages from the first on: one, and others as long as there is room."""
    last, room = first + 1, _CHARACTERS_AT_ONCE - len(passages[first].text)
    while last < len(passages) and room >= len(passages[last].text):
        room -= len(passages[last].text)
        last += 1
    return passages[first:last]


class TrivialColumn:
    """Logistic models of where a line or program stands, how long it is and how it begins."""

    name = TRIVIAL
    is_level = True

    def __init__(self, lines: LogisticModel, programs: LogisticModel) -> None:
        self._lines = lines
        self._programs = programs

    @classmethod
    def fit(cls, data: ProbeData) -> TrivialColumn:
        """Fitted to labelled programs with their weights."""
        passages = [passage_of(program.text, program.scored) for program in data.programs]
        table = line_table(passages, [program.edited or () for program in data.programs])
        weights = shared_weights(np.asarray(data.span_weights), table)
        features = np.concatenate([_line_features(passage) for passage in passages])
        failing = np.array([not program.passed for program in data.programs], dtype=np.bool_)
        wholes = np.concatenate([_whole_features(passage) for passage in passages])
        return cls(
            fit_logistic(features, table.edited, weights),
            fit_logistic(wholes, failing, np.asarray(data.weights)),
        )

    def at_rest(self) -> TrivialColumn:
        """The column itself: it does not tell code at rest from other code."""
        return self

    def answers(self, passages: Sequence[Passage]) -> list[Answer]:
        """The scores of passages, in their order."""
        return [
            Answer(
                self._lines.probability(_line_features(passage)),
                float(self._programs.probability(_whole_features(passage))[0]),
            )
            for passage in passages
        ]


class LengthColumn:
    """A score that grows with the length of a line or text."""

    name = LENGTH
    is_level = False

    def at_rest(self) -> LengthColumn:
        """The column itself: it does not tell code at rest from other code."""
        return self

    def answers(self, passages: Sequence[Passage]) -> list[Answer]:
        """The scores of passages, in their order."""
        return [
            Answer(
                by_length(passage.lines[:, 1] - passage.lines[:, 0]),
                float(by_length(np.array([passage.whole.end - passage.whole.start]))[0]),
            )
            for passage in passages
        ]


def by_length(lengths: NDArray[np.int64]) -> Floats:
    """Lengths in characters as scores from 0 to 1 that grow with them, float64[n]."""
    return np.asarray(lengths / (lengths + _MIDDLE_LENGTH), dtype=np.float64)


def _line_features(passage: Passage) -> Floats:
    return trivial_features(passage.text, passage.whole, *passage.lines.T)


def _whole_features(passage: Passage) -> Floats:
    start, end = passage.whole
    return trivial_features(passage.text, passage.whole, np.array([start]), np.array([end]))
