"""How good probabilities are: calibration, skill and order, also within programs.

Every metric takes one record per scored span, as parallel arrays: `p` float64[n] is a probability (or any score, where
only the order counts), `y` [n] is 1 for an edited span and 0 otherwise, `weights` float64[n] says how much each record
counts; only ratios of weights matter. A metric that the records leave undefined (an AUC without both classes, a skill
score without both outcomes) is NaN, so that a resample of a bootstrap may lack one.

Metrics within programs say how well scores order the lines of one program, as somebody who reads it meets them.
`groups` names each record's program. The weight of a program in a mean is the sum of its records' weights; without
weights programs count equally. Records of a program stand in the order of its text, which also breaks ties of scores:
equal scores are read from the top.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_auc_score

from risk_lsp.errors import BadInput

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Records(NamedTuple):
    """Checked arrays of one length n >= 1: scores, labels (0.0 or 1.0) and weights (not negative, sum above zero)."""

    p: FloatArray
    y: FloatArray
    weights: FloatArray


def check_records(p: ArrayLike, y: ArrayLike, weights: ArrayLike | None, *, probabilities: bool = True) -> Records:
    """The arrays as float64, or BadInput that names the one that is wrong.

    With `probabilities` the scores must lie in [0, 1]. Without weights every record counts the same.
    """
    scores = np.asarray(p, dtype=np.float64)
    labels = np.asarray(y, dtype=np.float64)
    mass = np.ones(scores.shape) if weights is None else np.asarray(weights, dtype=np.float64)
    if scores.ndim != 1 or labels.shape != scores.shape or mass.shape != scores.shape:
        raise BadInput(
            f"scores {scores.shape}, labels {labels.shape} and weights {mass.shape} do not match",
            "give one-dimensional arrays of one length",
        )
    if scores.size == 0:
        raise BadInput("there are no records to measure", "check what was filtered out before")
    if not np.isfinite(scores).all():
        raise BadInput("some scores are not finite", "leave out spans without a score, such as blank lines")
    if probabilities and (scores.min() < 0.0 or scores.max() > 1.0):
        raise BadInput(f"scores from {scores.min():g} to {scores.max():g} are not probabilities", "scale them to 0..1")
    if not np.isin(labels, (0.0, 1.0)).all():
        raise BadInput("some labels are neither 0 nor 1", "a span is edited or it is not")
    if not np.isfinite(mass).all() or mass.min() < 0.0 or mass.sum() <= 0.0:
        raise BadInput("weights must be finite, not negative, and not all zero")
    return Records(scores, labels, mass)


def group_ids(groups: ArrayLike, n: int) -> tuple[IntArray, int]:
    """Each record's group as an integer from 0, and the number of groups."""
    names = np.asarray(groups)
    if names.shape != (n,):
        raise BadInput(f"groups {names.shape} do not match {n} records", "give each record's group")
    distinct, ids = np.unique(names, return_inverse=True)
    return ids.astype(np.int64), len(distinct)


def total(ids: IntArray, values: FloatArray, count: int) -> FloatArray:
    """Sum of `values` [n] per id, float64[count]."""
    return np.bincount(ids, values, count).astype(np.float64)


def base_rate(y: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Weighted share of positive labels: sum(w y) / sum(w)."""
    labels = np.asarray(y, dtype=np.float64)
    return _mean(labels, check_records(labels, labels, weights).weights)


def brier_skill_score(p: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Skill against always predicting the weighted base rate r of these very labels: 1 - brier / (r (1 - r)).

    1 is perfect, 0 is no better than the base rate, below 0 is worse. NaN when all labels agree (arXiv 2512.24560).
    """
    records = check_records(p, y, weights)
    rate = _mean(records.y, records.weights)
    reference = rate * (1.0 - rate)
    brier = _mean((records.p - records.y) ** 2, records.weights)
    return 1.0 - brier / reference if reference > 0.0 else float("nan")


def expected_calibration_error(
    p: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None, *, bins: int = 10
) -> float:
    """Expected calibration error over equal-width bins: sum over bins b of W_b / W |mean p in b - mean y in b|.

    W_b is the weight in bin b and the means are weighted; a bin is [low, high), the last one closed.
    Naeini, Cooper and Hauskrecht, Obtaining well calibrated probabilities using Bayesian binning, AAAI 2015.
    """
    records = check_records(p, y, weights)
    return _calibration_error(records, equal_width_bins(records.p, bins))


def adaptive_calibration_error(
    p: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None, *, bins: int = 10
) -> float:
    """Expected calibration error over bins of equal weight, for scores that crowd into few equal-width bins.

    Equal scores stay together: a score joins the bin that holds the middle of its weight in sorted order.
    Nguyen and O'Connor, Posterior calibration and exploratory analysis for NLP models, EMNLP 2015.
    """
    records = check_records(p, y, weights)
    return _calibration_error(records, adaptive_bins(records.p, records.weights, bins))


def equal_width_bins(p: FloatArray, bins: int) -> IntArray:
    """The bin of each probability, 0 to bins - 1; a bin is [low, high), the last one closed."""
    _check_bins(bins)
    edges = np.arange(bins + 1) / bins
    return np.asarray(np.clip(np.searchsorted(edges, p, side="right") - 1, 0, bins - 1), dtype=np.int64)


def adaptive_bins(p: FloatArray, weights: FloatArray, bins: int) -> IntArray:
    """The bin of each score, 0 to bins - 1, such that the bins weigh about the same and equal scores stay together."""
    _check_bins(bins)
    _, place = np.unique(p, return_inverse=True)
    mass = np.bincount(place, weights)
    middle = (np.cumsum(mass) - mass / 2.0) / mass.sum()
    return np.asarray(np.minimum(middle * bins, bins - 1), dtype=np.int64)[place]


def auc(scores: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Area under the ROC curve: weighted share of (positive, negative) pairs in the right order, ties counting half.

    NaN unless both classes carry weight. Hanley and McNeil, Radiology 143 (1982).
    """
    records = check_records(scores, y, weights, probabilities=False)
    used = records.weights > 0.0
    if len(np.unique(records.y[used])) < 2:
        return float("nan")
    return float(roc_auc_score(records.y[used], records.p[used], sample_weight=records.weights[used]))


def _calibration_error(records: Records, bin_of: IntArray) -> float:
    # W_b |mean p - mean y| is |sum w (p - y)| over the bin, so an empty bin needs no special case.
    gaps = np.bincount(bin_of, records.weights * (records.p - records.y))
    return float(np.abs(gaps).sum() / records.weights.sum())


def _mean(values: FloatArray, weights: FloatArray) -> float:
    return float(np.dot(values, weights) / weights.sum())


def _check_bins(bins: int) -> None:
    if bins < 1:
        raise BadInput(f"{bins} bins cannot hold anything", "use 10")


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


def improbability(log_probabilities: ArrayLike, first: IntArray, last: IntArray) -> FloatArray:
    """1 minus the geometric mean of the probabilities of the tokens [first, last) of each span, float64[spans].

    `log_probabilities` are in nats, one per token; a span without tokens scores 0 (arXiv 2512.24560).
    """
    sums = np.concatenate(([0.0], np.cumsum(log_probabilities, dtype=np.float64)))
    # A log-probability is never above 0, but sums of many differ by rounding.
    mean = np.minimum(sums[last] - sums[first], 0.0) / np.maximum(last - first, 1)
    return np.asarray(1.0 - np.exp(mean), dtype=np.float64)
