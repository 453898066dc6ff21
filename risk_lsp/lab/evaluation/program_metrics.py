"""How well scores order the lines within one program, as somebody who reads that program meets them.

`groups` names each record's program. The weight of a program in a mean is the sum of its records' weights; without
weights programs count equally. Records of a program stand in the order of its text, which also breaks ties of scores:
equal scores are read from the top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.metrics import FloatArray, IntArray, Records, check_records, group_ids, total


class ProgramValues(NamedTuple):
    """A measure of each program float64[programs], NaN where it has none, and the weight of each in a mean."""

    values: FloatArray
    weights: FloatArray


def program_aucs(scores: ArrayLike, y: ArrayLike, groups: ArrayLike, weights: ArrayLike | None = None) -> ProgramValues:
    """The AUC within each program that holds both classes (ties count half), programs in the order of their names.

    It is free of the question which programs are in trouble.
    Each is the Mann-Whitney statistic (R - P (P + 1) / 2) / (P N): R the sum of the positives' mid-ranks.
    """
    programs = _Programs.of(scores, y, groups, weights)
    positives = programs.positives
    negatives = programs.sizes - positives
    rank_sum = total(programs.ids, programs.mid_ranks() * programs.records.y, programs.count)
    with np.errstate(invalid="ignore", divide="ignore"):
        area = (rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives)
    return ProgramValues(np.where((positives > 0) & (negatives > 0), area, np.nan), programs.weights)


def program_hits(
    scores: ArrayLike, y: ArrayLike, groups: ArrayLike, k: int, weights: ArrayLike | None = None
) -> ProgramValues:
    """1 for each program whose k best-scored records hold a positive, 0 for others that hold one, in name order."""
    if k < 1:
        raise BadInput(f"the best {k} records are none", "k must be at least 1")
    programs = _Programs.of(scores, y, groups, weights)
    found = total(programs.ids, programs.records.y * (programs.reading_rank() < k), programs.count)
    return ProgramValues(np.where(programs.positives > 0, found > 0, np.nan), programs.weights)


def program_efforts(
    scores: ArrayLike, y: ArrayLike, groups: ArrayLike, weights: ArrayLike | None = None, *, recall: float = 0.8
) -> tuple[ProgramValues, ProgramValues]:
    """How much of each program is read until `recall` of its edited lines are met: best-scored first, and from the top.

    For a program with m edited lines among n, reading stops at edited line number ceil(recall m); the share is the
    lines read so far / n. A program without an edited line has none.
    """
    if not 0.0 < recall <= 1.0:
        raise BadInput(f"a recall of {recall:g} cannot be met", "use a share above 0 and up to 1, such as 0.8")
    programs = _Programs.of(scores, y, groups, weights)
    orders = (programs.reading_rank(), programs.text_rank())
    by_probability, top_to_bottom = (ProgramValues(programs.share_read(o, recall), programs.weights) for o in orders)
    return by_probability, top_to_bottom


@dataclass(frozen=True)
class _Programs:
    """Records with their program's id [n]; sizes, positives and weights per program [count]."""

    records: Records
    ids: IntArray
    count: int
    sizes: FloatArray
    positives: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, scores: ArrayLike, y: ArrayLike, groups: ArrayLike, weights: ArrayLike | None) -> _Programs:
        records = check_records(scores, y, weights, probabilities=False)
        ids, count = group_ids(groups, len(records.p))
        sizes = np.bincount(ids, minlength=count).astype(np.float64)
        mass = np.ones(count) if weights is None else total(ids, records.weights, count)
        return cls(records, ids, count, sizes, total(ids, records.y, count), mass)

    def text_rank(self) -> IntArray:
        """Each record's place in its program's text, from 0."""
        return self._ranks(np.argsort(self.ids, kind="stable"))

    def reading_rank(self) -> IntArray:
        """Each record's place, from 0, when its program is read best score first, ties from the top."""
        return self._ranks(np.lexsort((-self.records.p, self.ids)))

    def mid_ranks(self) -> FloatArray:
        """Each record's rank by ascending score in its program, from 1; equal scores share the mean of their ranks."""
        order = np.lexsort((self.records.p, self.ids))
        ids, scores = self.ids[order], self.records.p[order]
        new_block = np.r_[True, (ids[1:] != ids[:-1]) | (scores[1:] != scores[:-1])]
        block = np.cumsum(new_block) - 1
        ranks = self._ranks(order)
        mean_rank = np.bincount(block, ranks[order] + 1.0) / np.bincount(block)
        mid = np.empty(len(order))
        mid[order] = mean_rank[block]
        return mid

    def share_read(self, rank: IntArray, recall: float) -> FloatArray:
        """Per program, the share of its records read by ascending `rank` until `recall` of its positives were met."""
        order = np.lexsort((rank, self.ids))
        ids, labels = self.ids[order], self.records.y[order]
        met = np.cumsum(labels)
        met_before_program = np.r_[0.0, np.cumsum(self.positives)[:-1]]
        # The small term keeps a product such as 0.8 * 5 from being rounded up to the next line.
        needed = np.ceil(recall * self.positives - 1e-9)
        is_last = (labels == 1.0) & (met - met_before_program[ids] == needed[ids])
        read = np.full(self.count, np.nan)
        read[ids[is_last]] = rank[order][is_last] + 1.0
        return read / self.sizes

    def _ranks(self, order: IntArray) -> IntArray:
        """From an order that keeps programs together, each record's place within its program, from 0."""
        first = np.r_[0, np.cumsum(self.sizes).astype(np.int64)[:-1]]
        ranks = np.empty(len(order), dtype=np.int64)
        ranks[order] = np.arange(len(order)) - first[self.ids[order]]
        return ranks
