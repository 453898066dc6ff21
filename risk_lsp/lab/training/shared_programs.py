"""How problems are split, and model-written programs of the training problems as documents to learn from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.patches.labels import with_intent
from risk_lsp.lab.patches.problems import problems_by_id
from risk_lsp.lab.patches.programs import Sample, read_samples
from risk_lsp.lab.training.documents import TrainingDocument, is_held_out
from risk_lsp.sandbox.verdicts import Problem

Split = Literal["train", "calibration", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

TEST_SHARE = 0.20
CALIBRATION_SHARE = 0.15

_SALT = "risk-lsp-1"
_FOLD_SALT = "risk-lsp-1-fold"


def split_of(group: str) -> Split:
    """The split that `group` belongs to: 20% test, 15% calibration, 65% train."""
    place = _place(_SALT, group)
    if place < TEST_SHARE:
        return "test"
    if place < TEST_SHARE + CALIBRATION_SHARE:
        return "calibration"
    return "train"


def is_measured_alone(group: str) -> bool:
    """Whether the pairs of a bug and its fix of `group` are for measuring only: a third of the groups, by a hash."""
    return sha256(group.encode()).digest()[0] % 3 == 0


def k_folds(groups: Sequence[str], k: int) -> NDArray[np.int64]:
    """The fold, 0 to k - 1, of each record, given each record's group; records of one group share a fold.

    The distinct groups are ranked by hash and dealt out in turn, so folds hold equally many groups (give or take one).
    """
    distinct = sorted(set(groups), key=lambda group: (_place(_FOLD_SALT, group), group))
    if not 2 <= k <= len(distinct):
        raise BadInput(
            f"cannot make {k} folds of {len(distinct)} groups", "k must lie between 2 and the number of groups"
        )
    fold_of = {group: rank % k for rank, group in enumerate(distinct)}
    return np.array([fold_of[group] for group in groups], dtype=np.int64)


def leave_one_benchmark_out(benchmarks: Sequence[str]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """For each benchmark by name: (benchmark, mask of the records that are held out), given each record's benchmark."""
    names = np.asarray(benchmarks, dtype=np.str_)
    distinct = sorted(set(benchmarks))
    if len(distinct) < 2:
        raise BadInput("leaving one benchmark out needs at least two benchmarks", f"found {distinct}")
    for name in distinct:
        yield name, names == name


def _place(salt: str, group: str) -> float:
    """A number in [0, 1) that depends on `salt` and `group` alone."""
    return int(sha256(f"{salt}:{group}".encode()).hexdigest()[:8], 16) / 2**32


def model_written_documents(folder: Path, per_group: int) -> Iterator[TrainingDocument]:
    """Programs of the training groups, at most `per_group` of each problem; every other one shows its prompt.

    `folder` holds samples_*.jsonl* and problems_*.jsonl*. Samples whose published verdict and our own run contradict
    each other are left out. BadInput for a folder without samples.
    """
    paths = sorted(folder.glob("samples_*.jsonl*"))
    if not paths:
        raise BadInput(f"no samples_*.jsonl.xz in {folder}", "point --data at the folder of the labelled programs")
    problems = problems_by_id(sorted(folder.glob("problems_*.jsonl*")))
    groups: dict[str, list[tuple[str, Sample]]] = defaultdict(list)
    for path in paths:
        source = path.name.removeprefix("samples_").split(".")[0]
        for sample in read_samples(path):
            if not sample.conflict and split_of(sample.group) == "train":
                groups[sample.group].append((source, sample))
    for group in sorted(groups):
        programs = [(source, sample.task_id, _program_of(sample)) for source, sample in groups[group]]
        programs.sort(key=lambda program: sha256(program[2].encode("utf-8", "replace")).digest())
        for index, (source, task_id, text) in enumerate(programs[:per_group]):
            problem = problems.get(task_id)
            if index % 2 == 0 and problem is not None:
                text = with_intent(text, _asked(problem))[0]
            licence = "see the data set's README"
            yield TrainingDocument(f"samples:{source}", licence, task_id, "model-written", text, is_held_out(group))
    for problem in problems.values():
        if problem.reference and split_of(problem.group) == "train":
            yield TrainingDocument(
                f"problems:{problem.benchmark}",
                problem.license,
                problem.task_id,
                "model-written",
                with_intent(problem.reference, _asked(problem))[0],
                is_held_out(problem.group),
            )


def _program_of(sample: Sample) -> str:
    """LeetCode's long prelude of imports and helper classes is left out: nobody has it in a file of their own."""
    dropped = sample.prompt_lines if sample.benchmark == "leetcode" else 0
    return "".join(sample.program.splitlines(keepends=True)[dropped:])


def _asked(problem: Problem) -> str:
    """What was asked, in words where there are some, else the code that was given."""
    return (problem.text or problem.prompt).strip()
