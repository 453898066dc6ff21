"""Deterministic splits by problem.

Programs for one problem resemble each other far more than programs for two problems, so every split is by `group` (the
underlying problem), never by program. A group's place depends on its name alone: adding data moves no other group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput

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
