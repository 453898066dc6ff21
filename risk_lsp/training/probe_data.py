"""The data argument of the probe commands: labelled programs with weights, split by problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.evaluation.splits import Split, split_of
from risk_lsp.training.labelled import LabelledProgram, failing_shares, natural_weights, read_labelled, span_weights
from risk_lsp.training.patch_release import INDEX_FILE, read_release

DATA_HELP = "labelled programs: a .jsonl file, or what `patches build` wrote"


@dataclass(frozen=True)
class ProbeData:
    """Programs, what each weighs, and where the labels come from.

    `weights`: as a whole program, so that every problem weighs 1 and failing programs have their natural share.
    `span_weights`: with its tokens and lines; 0 for a failing program whose fix is unknown, for which those with a
    known fix stand in. Such a program says only that something in it has to be edited.
    """

    programs: list[LabelledProgram]
    weights: list[float]
    span_weights: list[float]
    labels: str

    @property
    def groups(self) -> NDArray[np.str_]:
        """The problem of each program."""
        return np.array([program.group for program in self.programs], dtype=np.str_)

    def of(self, split: Split) -> ProbeData:
        """Only the programs of the problems of one split, without those that weigh nothing."""
        kept = self.where(lambda program: split_of(program.group) == split)
        if not kept.programs:
            raise BadInput(f"no labelled program belongs to the {split} problems", "give programs of more problems")
        return kept

    def where(self, wanted: Callable[[LabelledProgram], bool]) -> ProbeData:
        """Only the programs that are wanted and weigh something."""
        kept = [index for index, program in enumerate(self.programs) if self.weights[index] > 0 and wanted(program)]
        return ProbeData(
            [self.programs[index] for index in kept],
            [self.weights[index] for index in kept],
            [self.span_weights[index] for index in kept],
            self.labels,
        )


def read_probe_data(path: Path, per_group: int) -> ProbeData:
    """Labelled programs from a .jsonl file or a folder; at most `per_group` passing and as many failing of a problem.

    A folder holds what `patches build` wrote.
    """
    if not path.is_dir():
        return _weighted(read_labelled(path), {}, per_group, "labelled programs")
    if not (path / INDEX_FILE).is_file():
        raise BadInput(
            f"{path} holds no {INDEX_FILE}",
            "give what `risk-lsp patches build` wrote, or a .jsonl file of labelled programs (docs/probe.md)",
        )
    return _weighted(*read_release(path), per_group, "smallest verified patch")


def _weighted(known: list[LabelledProgram], shares: dict[str, float], per_group: int, labels: str) -> ProbeData:
    shares = {**failing_shares(known), **shares}
    programs = _capped(known, per_group)
    return ProbeData(programs, natural_weights(programs, shares), span_weights(programs, shares), labels)


def _capped(programs: list[LabelledProgram], per_group: int) -> list[LabelledProgram]:
    """The first `per_group` passing and as many failing programs of every problem."""
    taken: Counter[tuple[str, bool]] = Counter()
    kept = []
    for program in programs:
        taken[program.group, program.passed] += 1
        if taken[program.group, program.passed] <= per_group:
            kept.append(program)
    return kept
