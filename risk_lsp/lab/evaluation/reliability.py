"""What probabilities have meant, as tables and diagrams, and the maps that correct them: Platt and isotonic.

matplotlib is imported only when a diagram is drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from risk_lsp.errors import BadInput, RiskError
from risk_lsp.lab.evaluation.metrics import FloatArray, check_records, total

# Probabilities are kept this far from 0 and 1 before their logit is taken.
_SMALLEST = 1e-7


class ReliabilityRow(NamedTuple):
    """Records scored in [low, high): their weighted mean probability, weighted share of positives, and number."""

    low: float
    high: float
    predicted: float
    observed: float
    n: int


class PlattScaling(NamedTuple):
    """The map p -> sigmoid(slope * logit(p) + intercept)."""

    slope: float
    intercept: float


class RescaledScores(NamedTuple):
    """The same scores after maps that were fitted to other records, float64[n] each."""

    platt: FloatArray
    isotonic: FloatArray

    def where(self, wanted: NDArray[np.bool_]) -> RescaledScores:
        """Only the wanted ones."""
        return RescaledScores(self.platt[wanted], self.isotonic[wanted])


def reliability_table(
    p: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None, edges: ArrayLike | None = None
) -> list[ReliabilityRow]:
    """One row per bin that holds weight; bins are [edge, next edge), the last one closed.

    `edges` must rise from 0 to 1; ten equal bins by default.
    """
    records = check_records(p, y, weights)
    bounds = np.arange(11) / 10 if edges is None else np.asarray(edges, dtype=np.float64)
    if bounds.ndim != 1 or len(bounds) < 2 or bounds[0] != 0.0 or bounds[-1] != 1.0 or (np.diff(bounds) <= 0.0).any():
        raise BadInput("the edges of a reliability table must rise from 0 to 1", "for example 0, 0.05, 0.1, 0.5, 1")
    bins = len(bounds) - 1
    bin_of = np.clip(np.searchsorted(bounds, records.p, side="right") - 1, 0, bins - 1)
    count = np.bincount(bin_of[records.weights > 0.0], minlength=bins)
    mass = total(bin_of, records.weights, bins)
    predicted = total(bin_of, records.weights * records.p, bins)
    observed = total(bin_of, records.weights * records.y, bins)
    return [
        ReliabilityRow(
            float(bounds[index]),
            float(bounds[index + 1]),
            float(predicted[index] / mass[index]),
            float(observed[index] / mass[index]),
            int(count[index]),
        )
        for index in np.flatnonzero(mass > 0.0)
    ]


def plot_reliability(curves: Mapping[str, Sequence[ReliabilityRow]], path: Path | str, *, title: str) -> None:
    """Draw one curve per label, with the diagonal of perfect calibration, and the count of each bin underneath."""
    if not curves or not all(curves.values()):
        raise BadInput(f"nothing to plot in {path}", "every curve needs at least one row of a reliability table")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.colors import to_rgb
        from matplotlib.figure import Figure
    except ImportError as error:
        raise RiskError("plots need matplotlib", "pip install 'risk-lsp[train]'") from error
    figure = Figure(figsize=(6.4, 7.2), dpi=120, layout="constrained")
    diagram, counts = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    diagram.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1, label="perfectly calibrated")
    for label, rows in curves.items():
        (line,) = diagram.plot(
            [row.predicted for row in rows],
            [row.observed for row in rows],
            marker="o",
            markersize=4,
            clip_on=False,
            label=label,
        )
        counts.bar(
            [row.low for row in rows],
            [row.n for row in rows],
            width=[row.high - row.low for row in rows],
            align="edge",
            facecolor=(*to_rgb(line.get_color()), 0.2),
            edgecolor=line.get_color(),
        )
    diagram.set(title=title, ylabel="share that was edited", xlim=(0, 1), ylim=(0, 1))
    diagram.legend(loc="upper left", frameon=False)
    diagram.grid(alpha=0.3)
    counts.set(xlabel="predicted probability", ylabel="records", yscale="log")
    counts.grid(alpha=0.3)
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png")


def platt_fit(p: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> PlattScaling:
    """Weighted logistic regression of the labels on logit(p).

    Targets are Platt's: (N+ + 1) / (N+ + 2) for positives and 1 / (N- + 2) for negatives, N being the number of records
    of a class that carry weight. So the fit stays finite where the classes are separable or one is missing. Where all
    scores are equal the slope is 1.
    Platt, Probabilistic outputs for support vector machines, Advances in Large Margin Classifiers (1999).
    """
    records = check_records(p, y, weights)
    used = records.weights > 0.0
    positives = int(records.y[used].sum())
    negatives = int(used.sum()) - positives
    target = np.where(records.y == 1.0, (positives + 1.0) / (positives + 2.0), 1.0 / (negatives + 2.0))[used]
    weight = records.weights[used] / records.weights[used].sum()
    x = _logit(records.p[used])
    center = float(np.dot(weight, x))
    spread = float(np.sqrt(np.dot(weight, (x - center) ** 2)))
    if spread < 1e-9:
        return PlattScaling(1.0, float(_logit(np.dot(weight, target))) - center)
    standard = ((x - center) / spread)[:, None]
    # A soft target t is a positive record of weight t and a negative one of weight 1 - t.
    model = logistic_regression(
        np.concatenate([standard, standard]),
        np.repeat([True, False], len(x)),
        np.concatenate([weight * target, weight * (1.0 - target)]),
        ridge=0.0,
    )
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    return PlattScaling(slope / spread, offset - slope * center / spread)


def logistic_regression(
    rows: FloatArray, labels: NDArray[np.bool_], weights: FloatArray, *, ridge: float
) -> LogisticRegression:
    """scikit-learn's model of least weighted log-loss + ridge / 2 |coefficients|^2; the intercept is free.

    rows: float64[n, features], labels: bool[n] of both classes, weights: float64[n].
    """
    model = LogisticRegression(C=1.0 / ridge if ridge else np.inf, solver="newton-cholesky", tol=1e-8)
    with warnings.catch_warnings():
        # It is said where rounding keeps the loss from falling any further: the fit is as good as it gets.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(rows, labels, weights)


def platt_apply(p: ArrayLike, scaling: PlattScaling) -> FloatArray:
    """Corrected probabilities float64[n]."""
    z = scaling.slope * _logit(np.asarray(p, dtype=np.float64)) + scaling.intercept
    return np.asarray(np.exp(-np.logaddexp(0.0, -z)), dtype=np.float64)  # 1 / (1 + exp(-z)) may overflow


def shifted_to_rate(p: ArrayLike, rate: float, weights: ArrayLike) -> FloatArray:
    """Probabilities float64[n], all with the same shift of their log-odds, such that their weighted mean is `rate`.

    What is left of them when the base rate of a place is known. 0 < rate < 1; `weights` float64[n], not all 0.
    """
    log_odds, shares = _logit(np.asarray(p, dtype=np.float64)), np.asarray(weights, dtype=np.float64)

    def excess(shift: float) -> float:
        return float(np.average(expit(log_odds + shift), weights=shares)) - rate

    bound = float(np.abs(log_odds).max()) + abs(float(_logit(rate)))
    return np.asarray(expit(log_odds + brentq(excess, -bound - 1.0, bound + 1.0)), dtype=np.float64)


def isotonic_fit(p: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> IsotonicRegression:
    """The non-decreasing map of least weighted squared error; outside of the scores that it was fitted to it is flat.

    Zadrozny and Elkan, Transforming classifier scores into accurate multiclass probability estimates, KDD 2002.
    """
    records = check_records(p, y, weights)
    used = records.weights > 0.0
    return IsotonicRegression(out_of_bounds="clip").fit(records.p[used], records.y[used], records.weights[used])


def rescale(p: ArrayLike, known: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> RescaledScores:
    """Scores `p` after the maps that suit the scores `known` with their labels."""
    isotonic = isotonic_fit(known, y, weights).predict(np.asarray(p, dtype=np.float64))
    return RescaledScores(platt_apply(p, platt_fit(known, y, weights)), np.asarray(isotonic, dtype=np.float64))


def _logit(p: ArrayLike) -> FloatArray:
    clipped = np.clip(p, _SMALLEST, 1.0 - _SMALLEST)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), dtype=np.float64)
