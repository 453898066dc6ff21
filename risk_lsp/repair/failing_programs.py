"""Failing programs with tests, for measuring repairs: bugs that people put in, and failures of models."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from risk_lsp.errors import BadInput
from risk_lsp.evaluation.splits import Split, split_of
from risk_lsp.patches.json_lines import read_lines
from risk_lsp.patches.problems import Problem, Sample, problems_by_id, read_samples
from risk_lsp.text.lines import LineIndex

SetName = Literal["humanevalfix", "natural"]
_FIX = "repairs_humanevalfix.jsonl.xz"
_HINT = "name the folder with the problems and programs with --data"


class FailingProgram(NamedTuple):
    """A program that fails its problem's tests; nothing in front of `given` was written by the model."""

    set_name: SetName
    problem: Problem
    model: str
    text: str
    given: int

    @property
    def id(self) -> str:
        """Names the program in records."""
        return f"{self.set_name}/{self.problem.task_id}/{self.model}"


def failing_programs(
    folder: Path, set_name: SetName, split: Split | None, count: int, seed: int
) -> list[FailingProgram]:
    """Up to `count` programs, of one split of the problems or of all; the same seed gives the same ones.

    "natural" holds failures that were verified by a run, one of each problem. BadInput if the folder lacks the files.
    """
    problems = _problems(folder)
    found = _injected(folder, problems) if set_name == "humanevalfix" else _natural(folder, problems, seed)
    kept = [program for program in found if split is None or split_of(program.problem.group) == split]
    if not kept:
        raise BadInput(f"{folder} holds no failing programs for {set_name}", _HINT)
    random.Random(seed).shuffle(kept)
    return kept[:count]


def _problems(folder: Path) -> dict[str, Problem]:
    files = sorted(folder.glob("problems_*.jsonl.xz")) if folder.is_dir() else []
    if not files:
        raise BadInput(f"{folder} holds no problems_*.jsonl.xz", _HINT)
    return problems_by_id(files)


def _injected(folder: Path, problems: dict[str, Problem]) -> list[FailingProgram]:
    path = folder / _FIX
    if not path.is_file():
        raise BadInput(f"{folder} holds no {_FIX}", _HINT)
    return [
        _failing("humanevalfix", problems[record["task_id"]], "people", record["program"], record["prompt_lines"])
        for _, record in read_lines(path)
        if record["task_id"] in problems and record["verified"] is False
    ]


def _natural(folder: Path, problems: dict[str, Problem], seed: int) -> list[FailingProgram]:
    by_group: dict[str, list[Sample]] = {}
    for sample in _failures(folder):
        if sample.task_id in problems and problems[sample.task_id].test_kind != "none":
            by_group.setdefault(sample.group, []).append(sample)
    chooser = random.Random(seed)
    chosen = [chooser.choice(by_group[group]) for group in sorted(by_group)]
    return [
        _failing("natural", problems[sample.task_id], sample.model, sample.program, sample.prompt_lines)
        for sample in chosen
    ]


def _failures(folder: Path) -> Iterator[Sample]:
    files = sorted(folder.glob("samples_*.jsonl.xz"))
    if not files:
        raise BadInput(f"{folder} holds no samples_*.jsonl.xz", _HINT)
    for file in files:
        yield from (sample for sample in read_samples(file) if sample.verified is False and not sample.conflict)


def _failing(set_name: SetName, problem: Problem, model: str, text: str, prompt_lines: int) -> FailingProgram:
    lines = LineIndex(text)
    given = lines.start(prompt_lines) if prompt_lines < lines.count else len(text)
    return FailingProgram(set_name, problem, model, text, given)
