"""pass@k (arXiv 2107.03374, equation 1), and pass@t: pass rate against tokens of repair trees (arXiv 2306.09896).

matplotlib is imported only when a plot is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk_lsp.errors import BadInput, RiskError
from risk_lsp.lab.evaluation.problem_bootstrap import RatePoint, band
from risk_lsp.repair.tree import FeedbackNode, ProgramNode, RepairTree, TreeStore


def pass_at_k(samples: ArrayLike, passing: ArrayLike, k: int) -> NDArray[np.float64]:
    """For each problem with `samples` drawn and `passing` among them: 1 - C(n - c, k) / C(n, k), float64[problems].

    Unbiased: the mean over all ways to choose k of the n samples. BadInput if k exceeds some n.
    """
    n, c = np.atleast_1d(np.asarray(samples, dtype=np.int64)), np.atleast_1d(np.asarray(passing, dtype=np.int64))
    if k < 1 or (n < k).any():
        raise BadInput(f"pass@{k} of {n.min(initial=0)} samples", "k must lie between 1 and the number of samples")
    if (c < 0).any() or (c > n).any():
        raise BadInput("more samples pass than there are", "count each sample once")
    estimates = np.ones(len(n))
    for place, (total, good) in enumerate(zip(n.tolist(), c.tolist(), strict=True)):
        if total - good >= k:  # the product of (1 - k / i) for i from n - c + 1 to n, which never overflows
            estimates[place] -= np.prod(1.0 - k / np.arange(total - good + 1, total + 1))
    return estimates


_Item = TypeVar("_Item")


@dataclass(frozen=True)
class FrozenRepair:
    """A repair: whether it passes, and what it took. cost: in tokens, or in executions."""

    passed: bool
    cost: float


@dataclass(frozen=True)
class FrozenFeedback:
    """Feedback and the repairs that were made of it. Joint feedback and repair: cost 0 and one repair."""

    cost: float
    repairs: tuple[FrozenRepair, ...]


@dataclass(frozen=True)
class FrozenProgram:
    """An initial program; one that passes needs no feedback."""

    passed: bool
    cost: float
    feedbacks: tuple[FrozenFeedback, ...] = ()


@dataclass(frozen=True)
class FrozenTree:
    """All that was ever drawn for one task. BadInput if a failing program has no feedback, or feedback no repair."""

    programs: tuple[FrozenProgram, ...]

    def __post_init__(self) -> None:
        if not self.programs:
            raise BadInput("a repair tree without programs", "leave the task out")
        for program in self.programs:
            if not program.passed and (not program.feedbacks or not all(each.repairs for each in program.feedbacks)):
                raise BadInput("a repair tree with a failing program that nobody repaired", "finish the tree first")


class Shape(NamedTuple):
    """How large a drawn tree is: programs, feedbacks for each failing one, repairs for each feedback."""

    programs: int
    feedbacks: int
    repairs: int


class PassAtT(NamedTuple):
    """One point: mean cost and pass rate of drawn trees, and the ends of the rate's 95% band over tasks."""

    shape: Shape
    cost: float
    rate: float
    low: float
    high: float


def draw_tree(tree: FrozenTree, shape: Shape, generator: np.random.Generator) -> tuple[bool, float]:
    """Draw one smaller tree: whether a program in it passes, and the cost of all of it."""
    passed, cost = False, 0.0
    for program in _draw(tree.programs, shape.programs, generator):
        cost += program.cost
        passed = passed or program.passed
        if program.passed:
            continue
        for feedback in _draw(program.feedbacks, shape.feedbacks, generator):
            repairs = _draw(feedback.repairs, shape.repairs, generator)
            cost += feedback.cost + sum(repair.cost for repair in repairs)
            passed = passed or any(repair.passed for repair in repairs)
    return passed, cost


def pass_at_t(
    trees: Sequence[FrozenTree], shapes: Sequence[Shape], *, draws: int = 200, resamples: int = 1000, seed: int = 0
) -> list[PassAtT]:
    """For each shape: the mean over tasks of drawn trees' pass rate and cost, by cost; bands resample the tasks."""
    if not trees or not shapes or draws < 1:
        raise BadInput("nothing to draw repair trees from", "give at least one tree, one shape and one draw")
    generator = np.random.default_rng(seed)
    points = []
    for shape in shapes:
        drawn = [[draw_tree(tree, shape, generator) for _ in range(draws)] for tree in trees]
        outcomes = np.array(drawn, dtype=np.float64)
        rates, costs = outcomes[:, :, 0].mean(axis=1), outcomes[:, :, 1].mean(axis=1)
        low, high = band(rates, resamples, generator)
        points.append(PassAtT(shape, float(costs.mean()), float(rates.mean()), low, high))
    return sorted(points, key=lambda point: point.cost)


def plot_rates(
    curves: Mapping[str, Sequence[RatePoint]], path: Path, *, title: str, cost: str, logarithmic: bool
) -> None:
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


def _draw(items: Sequence[_Item], count: int, generator: np.random.Generator) -> list[_Item]:
    return [items[index] for index in generator.integers(len(items), size=count)]


def read_trees(folder: Path) -> list[RepairTree]:
    """The trees of a folder. BadInput if there are none, or for one that cannot be read."""
    trees = [TreeStore(path).load() for path in sorted(folder.glob("*.json"))]
    found = [tree for tree in trees if tree is not None and tree.nodes]
    if not found:
        raise BadInput(f"{folder} holds no repair trees", "make some with `risk-lsp repair --tree FILE`")
    return found


def frozen_tree(tree: RepairTree) -> FrozenTree | None:
    """A tree as what can be drawn from it, costs in tokens; None if nothing was made of its first program.

    Repairs of a program without feedback in between are joint: each is feedback that costs nothing, with one repair.
    A repair of a repair counts where its parent was given: chains are cut into their links.
    """
    root = tree.nodes[0]
    if not isinstance(root, ProgramNode) or root.verdict is None:
        return None
    if root.verdict.passed:
        return FrozenTree((FrozenProgram(True, 0.0),))
    feedbacks = []
    for node in tree.nodes[1:]:
        if node.parent != root.id:
            continue
        if isinstance(node, FeedbackNode):
            if repairs := tuple(_repair(child) for child in tree.programs if child.parent == node.id):
                feedbacks.append(FrozenFeedback(float(node.cost.tokens), repairs))
        else:
            feedbacks.append(FrozenFeedback(0.0, (_repair(node),)))
    return FrozenTree((FrozenProgram(False, 0.0, tuple(feedbacks)),)) if feedbacks else None


def _repair(node: ProgramNode) -> FrozenRepair:
    return FrozenRepair(node.verdict is not None and node.verdict.passed, float(node.cost.tokens))


_SHAPES = [Shape(1, feedbacks, 1) for feedbacks in (1, 2, 4, 8, 16)]  # one repair each: the paper's best


def report_trees(folder: Path, out: Path) -> None:
    """Print pass@k and pass@t of the repair trees in a folder, and draw the latter. BadInput where there are none."""
    trees = [found for tree in read_trees(folder) if (found := frozen_tree(tree)) is not None]
    if not trees:
        raise BadInput(f"no tree in {folder} holds a repair", "make some with `risk-lsp repair --provider openai`")
    points = pass_at_t(trees, _SHAPES)
    for point in points:
        tried = f"{point.shape.feedbacks} x {point.shape.repairs} repairs"
        print(f"pass@t {point.rate:.1%} ({point.low:.1%} to {point.high:.1%}) at {point.cost:.0f} tokens: {tried}")
    repairs = [
        [repair for program in tree.programs for each in program.feedbacks for repair in each.repairs] for tree in trees
    ]
    for k in (1, 2, 5, 10):
        chosen = [some for some in repairs if len(some) >= k]
        if chosen:
            estimates = pass_at_k([len(some) for some in chosen], [sum(r.passed for r in some) for some in chosen], k)
            print(f"pass@{k} {estimates.mean():.1%} of {len(chosen)} trees")
    curve = [(max(point.cost, 1.0), point.rate, point.low, point.high) for point in points]
    plot_rates({"repairs": curve}, out / "pass_at_t.png", title="pass@t", cost="tokens", logarithmic=True)
    print(f"plot: {out / 'pass_at_t.png'}")
