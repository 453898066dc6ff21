"""Model-written programs with their prompts: the labelled data set's JSON Lines as texts, split by problem.

The data set's own README documents the fields (`task_id`, `group`, `program`, `prompt_lines`, `verified`, ...).
"""

from __future__ import annotations

import json
import lzma
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.patches.labels import with_intent
from risk_lsp.lab.training.documents import TrainingDocument, is_held_out

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
    """Whether the pairs of a bug and its fix of `group` only measure: those of a third of the groups, by a hash."""
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


@dataclass(frozen=True)
class Sample:
    """One program as a language model wrote it.

    `prompt_lines` leading lines of `program` were given, not written by the model. `passed`: did it pass the tests.
    `dropped_lines` leading lines of the record are not in `program`: LeetCode's long prelude of imports and helper
    classes, which nobody has in a file of their own.
    """

    task_id: str
    group: str
    benchmark: str
    source: str
    model: str
    program: str
    prompt_lines: int
    passed: bool | None
    dropped_lines: int


def read_records(path: Path) -> Generator[dict[str, Any], None, None]:
    """The records of one .jsonl or .jsonl.xz file."""
    if not path.is_file():
        raise BadInput(f"no data file at {path}", "point --data at the folder that holds samples_*.jsonl.xz")
    for number, line in enumerate(_lines(path), 1):
        try:
            yield json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{path}:{number} is not JSON: {error}", "download or rebuild the file") from None


def _lines(path: Path) -> Iterator[str]:
    try:
        with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as lines:
            yield from lines
    except (lzma.LZMAError, EOFError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is damaged: {error}", "download or rebuild the file") from None


def read_samples(folder: Path) -> Iterator[Sample]:
    """Every sample whose published label and our own run do not contradict each other."""
    paths = sorted(folder.glob("samples_*.jsonl*"))
    if not paths:
        raise BadInput(f"no samples_*.jsonl.xz in {folder}", "point --data at the folder of the labelled programs")
    for path in paths:
        source = path.name.removeprefix("samples_").split(".")[0]
        for record in read_records(path):
            if record.get("conflict"):
                continue
            verified = record.get("verified")
            prompt_lines = record["prompt_lines"] or 0
            dropped = prompt_lines if record["benchmark"] == "leetcode" else 0
            yield Sample(
                task_id=record["task_id"],
                group=record["group"],
                benchmark=record["benchmark"],
                source=source,
                model=record["model"],
                program="".join(record["program"].splitlines(keepends=True)[dropped:]),
                prompt_lines=prompt_lines - dropped,
                passed=record.get("passed") if verified is None else verified,
                dropped_lines=dropped,
            )


def read_prompts(folder: Path) -> dict[str, str]:
    """What was asked, in words, by task id (`text` where the benchmark has one, else its prompt)."""
    prompts: dict[str, str] = {}
    for path in sorted(folder.glob("problems_*.jsonl*")):
        for record in read_records(path):
            prompts[record["task_id"]] = (record.get("text") or record["prompt"]).strip()
    return prompts


def model_written_documents(folder: Path, per_group: int) -> Iterator[TrainingDocument]:
    """Programs of the training groups, at most `per_group` of each problem; every other one shows its prompt."""
    prompts = read_prompts(folder)
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in read_samples(folder):
        if split_of(sample.group) == "train":
            groups[sample.group].append(sample)
    for group in sorted(groups):
        chosen = sorted(groups[group], key=lambda sample: sha256(sample.program.encode("utf-8", "replace")).digest())
        for index, sample in enumerate(chosen[:per_group]):
            text = with_intent(sample.program, prompts.get(sample.task_id, ""))[0] if index % 2 == 0 else sample.program
            yield TrainingDocument(
                f"samples:{sample.source}",
                "see the data set's README",
                sample.task_id,
                "model-written",
                text,
                is_held_out(group),
            )
    yield from _references(folder)


def _references(folder: Path) -> Iterator[TrainingDocument]:
    for path in sorted(folder.glob("problems_*.jsonl*")):
        for record in read_records(path):
            if record.get("reference") and split_of(record["group"]) == "train":
                text = with_intent(record["reference"], (record.get("text") or record["prompt"]).strip())[0]
                licence = str(record["license"])
                yield TrainingDocument(
                    f"problems:{record['benchmark']}",
                    licence,
                    record["task_id"],
                    "model-written",
                    text,
                    is_held_out(record["group"]),
                )
