"""The data argument of the probe commands: labelled programs with weights, split by problem."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from risk_lsp.errors import BadInput
from risk_lsp.evaluation.splits import Split, split_of
from risk_lsp.training.labelled import LabelledProgram, failing_shares, natural_weights, read_labelled
from risk_lsp.training.proxy_labels import PROXY_FILE, read_proxy_labelled


@dataclass(frozen=True)
class ProbeData:
    """Programs and a weight for each (see `natural_weights`), and where the labels come from."""

    programs: list[LabelledProgram]
    weights: list[float]
    labels: str

    def of(self, split: Split) -> ProbeData:
        """Only the programs of the problems of one split, without those that weigh nothing."""
        pairs = zip(self.programs, self.weights, strict=True)
        kept = [(program, weight) for program, weight in pairs if weight > 0 and split_of(program.group) == split]
        if not kept:
            raise BadInput(f"no labelled program belongs to the {split} problems", "give programs of more problems")
        programs, weights = zip(*kept, strict=True)
        return ProbeData(list(programs), list(weights), self.labels)


def read_probe_data(path: Path, per_group: int) -> ProbeData:
    """Labelled programs from a .jsonl file, or from the folder of the labelled data set with its proxy patches."""
    if path.is_dir():
        if not (path / PROXY_FILE).is_file():
            raise BadInput(f"{path} holds no {PROXY_FILE}", "give a .jsonl file of labelled programs (docs/probe.md)")
        programs, shares = read_proxy_labelled(path, per_group)
        return ProbeData(programs, natural_weights(programs, shares), "nearest passing program (proxy)")
    known = read_labelled(path)
    programs = _capped([program for program in known if program.edited is not None], per_group)
    return ProbeData(programs, natural_weights(programs, failing_shares(known)), "labelled programs")


def _capped(programs: list[LabelledProgram], per_group: int) -> list[LabelledProgram]:
    """The first `per_group` passing and as many failing programs of every problem."""
    taken: Counter[tuple[str, bool]] = Counter()
    kept = []
    for program in programs:
        taken[program.group, program.passed] += 1
        if taken[program.group, program.passed] <= per_group:
            kept.append(program)
    return kept
