"""What it costs that a file holds several programs: lines of calibration problems, by how a probe was fitted and reads.

    python benchmarks/files_of_programs.py MODEL DATA [--per-group N] [--cache FOLDER] [--seed N]

Fits the shipped kind of probe three times: to programs as wholes, to their functions and what stands between, and to
both. Then puts programs of different problems into files of one, two and four, and judges the lines where they stand. A
file is read as a whole by the first, in parts by the others. Prints Markdown. (where_to_cut.py asks which texts the
probe that ships should read in parts.)
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from read_twice import read_twice

from risk_lsp.evaluation.metrics import auc, brier_skill_score
from risk_lsp.evaluation.program_metrics import within_group_auc
from risk_lsp.model.code_model import CodeModel
from risk_lsp.probe.calibration import Calibration
from risk_lsp.probe.heads import SpanHead
from risk_lsp.probe.layout import OFF_LINE
from risk_lsp.text.sections import function_parts
from risk_lsp.text.spans import Span
from risk_lsp.training.calibrate import fit_calibration, scaled_by_text, token_values
from risk_lsp.training.documents import is_held_out
from risk_lsp.training.feature_store import FeatureStore, WeightedPrograms, collect_features
from risk_lsp.training.fit_probe import FitOptions, fit_head
from risk_lsp.training.labelled import LabelledProgram
from risk_lsp.training.probe_data import ProbeData, read_probe_data
from risk_lsp.training.recipe import VALIDATION_SHARE

Cut = Callable[[str], list[Span]]
_FILES = (1, 2, 4)


def whole(text: str) -> list[Span]:
    """The text as one part."""
    return [Span(0, len(text))]


class Way(NamedTuple):
    """How a probe is fitted and reads."""

    name: str
    cut: Cut
    twice: bool


WAYS = (Way("wholes", whole, False), Way("parts", function_parts, False), Way("both", function_parts, True))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--per-group", type=int, default=4)
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"))
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    data = read_probe_data(args.data, args.per_group)
    bench = Bench(CodeModel.load(args.model), args.cache, data.of("train"), data.of("calibration"))
    torch.set_num_threads(2)
    print("| fitted to | files of | AUC | within failing programs | Brier skill | AUC of programs |")
    print("|---|---|---|---|---|---|")
    for way in WAYS:
        head, calibration = bench.fitted(way, args.seed)
        for count in _FILES:
            figures = bench.judged(way, head, calibration, count)
            print(f"| {way.name} | {count} | {' | '.join(f'{figure:.3f}' for figure in figures)} |", flush=True)
    return 0


class Bench:
    """A model, and the programs to learn from and to judge by."""

    def __init__(self, model: CodeModel, cache: Path, training: ProbeData, judging: ProbeData) -> None:
        self._model = model
        self._cache = cache
        self._training = training
        self._judging = judging

    def fitted(self, way: Way, seed: int) -> tuple[SpanHead, Calibration]:
        """A probe of one seed, and its calibration to the programs that it is judged by, each alone."""
        learnt = _weighted(self._training, self._read(self._training.programs, way.cut))
        validation = np.array([is_held_out(group, VALIDATION_SHARE) for group in self._training.groups])
        if way.twice:
            learnt, validation = read_twice(learnt, layout=True), np.concatenate([validation, validation])
        options = FitOptions(architecture="lines", rate=1e-3, epochs=10, patience=2, seed=seed)
        head = fit_head(learnt, validation, options).head
        alone = _weighted(self._judging, self._read(self._judging.programs, way.cut))
        return head, fit_calibration(token_values(head, alone.store), alone)

    def judged(self, way: Way, head: SpanHead, calibration: Calibration, count: int) -> tuple[float, ...]:
        """Line AUC, that within failing programs, the lines' Brier skill, the AUC of programs: in files of `count`."""
        alone = self._read(self._judging.programs, whole)
        programs = _weighted(self._judging, alone)
        scores = self._scores(way.cut, head, calibration, count, alone)
        weights, edited = programs.line_weights, alone.line_edited
        failing = weights * alone.program_edited[alone.line_program]
        inside = failing > 0
        totals = np.bincount(alone.line_program, scores, len(alone.program_edited))
        return (
            auc(scores, edited, weights),
            within_group_auc(scores[inside], edited[inside], alone.line_program[inside], failing[inside]),
            brier_skill_score(calibration.probability(scores), edited, weights),
            auc(totals, alone.program_edited, programs.weights),
        )

    def _scores(
        self, cut: Cut, head: SpanHead, calibration: Calibration, count: int, alone: FeatureStore
    ) -> NDArray[np.float64]:
        """The hazard of every line of the programs, in their order, where it stands in a file among others."""
        programs = self._judging.programs
        # Programs of one problem are neighbours in the data; in a file they would give each other away.
        order = random.Random(0).sample(range(len(programs)), len(programs))
        members = [order[first : first + count] for first in range(0, len(order), count)]
        store = self._read([_file([programs[index].text for index in each]) for each in members], cut)
        hazards = scaled_by_text(token_values(head, store), store, calibration)
        on_line = store.token_line != OFF_LINE
        by_line = np.bincount(store.token_line[on_line], hazards[on_line], len(store.line_edited))
        lines = np.concatenate([np.arange(*alone.line_bounds[index : index + 2]) for index in order])
        scores = np.zeros(len(by_line))
        scores[lines] = by_line
        return scores

    def _read(self, programs: list[LabelledProgram], cut: Cut) -> FeatureStore:
        layers = ((self._model.layer_count + 1) // 2, self._model.layer_count)
        return collect_features(
            self._model, programs, layers, statistics=True, layout=True, cache=self._cache, parts=cut
        )


def _file(texts: list[str]) -> LabelledProgram:
    text = texts[0] if len(texts) == 1 else "".join(f"{each}\n\n" for each in texts)
    return LabelledProgram("", "", "", text, Span(0, len(text)), (), True)


def _weighted(data: ProbeData, store: FeatureStore) -> WeightedPrograms:
    return WeightedPrograms(store, np.asarray(data.weights), np.asarray(data.span_weights))


if __name__ == "__main__":
    sys.exit(main())
