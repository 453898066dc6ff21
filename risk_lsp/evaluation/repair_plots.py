"""Pass rates against what they cost, as PNG. matplotlib is imported only when a plot is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from risk_lsp.errors import BadInput, RiskError

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
