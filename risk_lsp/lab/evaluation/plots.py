"""Reliability diagrams and pass rates as PNG. matplotlib is imported only when a plot is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from risk_lsp.errors import BadInput, RiskError
from risk_lsp.lab.evaluation.reliability import ReliabilityRow


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


# Cost, rate, and the ends of the rate's band.
Row = tuple[float, float, float, float]


def plot_rates(curves: Mapping[str, Sequence[Row]], path: Path, *, title: str, cost: str, logarithmic: bool) -> None:
    """Draw one curve with its band per label; `cost` names the horizontal axis."""
    if not curves or not all(curves.values()):
        raise BadInput(f"nothing to plot in {path}", "every curve needs at least one point")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise RiskError("plots need matplotlib", "pip install 'risk-lsp[train]'") from error
    figure = Figure(figsize=(7.2, 4.4 + 0.12 * len(curves)), dpi=120, layout="constrained")
    axes = figure.subplots()
    for label, rows in curves.items():
        costs, rates, lows, highs = zip(*rows, strict=True)
        (line,) = axes.plot(costs, rates, label=label, drawstyle="steps-post" if len(rows) > 30 else "default")
        axes.fill_between(
            costs, lows, highs, color=line.get_color(), alpha=0.15, step="post" if len(rows) > 30 else None
        )
    axes.set(title=title, xlabel=cost, ylabel="share that passes", ylim=(0, 1))
    if logarithmic:
        axes.set_xscale("log")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    axes.grid(alpha=0.3)
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png")
