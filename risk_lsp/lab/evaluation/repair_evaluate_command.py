"""`risk-lsp evaluate repair`: how many failing programs are repaired, and at what cost."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.pass_rates import (
    Shape,
    band,
    frozen_trees,
    pass_at_k,
    pass_at_t,
    plot_rates,
    rate_by_cost,
    read_trees,
)
from risk_lsp.lab.evaluation.repair_measuring import ORDERS, Measurement, failing_programs, measure
from risk_lsp.lab.json_lines import read_appended
from risk_lsp.probe.manifest import bundle_path
from risk_lsp.report.wording import shown_progress
from risk_lsp.risk.engine import Engine
from risk_lsp.sandbox.sandbox import Sandbox

SETS = ("humanevalfix", "natural")
_LINES_AT_MOST = 5
_SHAPES = [
    Shape(1, feedbacks, 1) for feedbacks in (1, 2, 4, 8, 16)
]  # many feedbacks, one repair each: the paper's best


def add_repair_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp evaluate repair`."""
    parser.add_argument("out", type=Path, metavar="OUT", help="a folder for records, figures and plots; resumed")
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), metavar="DIR", help="problems and programs"
    )
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--split", default="test", choices=("train", "calibration", "test"), help="of natural failures")
    parser.add_argument("--count", type=int, default=200, metavar="N", help="programs of each set (200)")
    parser.add_argument("--executions", type=int, default=200, metavar="N", help="for each program (200)")
    parser.add_argument("--uniform-executions", type=int, default=400, metavar="N", help="in uniform order (400)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bundle", metavar="PATH", help="a bundle's folder (default: the built-in one)")
    parser.add_argument("--trees", type=Path, metavar="DIR", help="pass@k and pass@t of the repair trees kept there")


def run_repair(args: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    args.out.mkdir(parents=True, exist_ok=True)
    if args.trees is not None:
        _trees(args.trees, args.out)
    else:
        _measured(args)
    return 0


def _measured(args: argparse.Namespace) -> None:
    programs = [
        program
        for name in args.sets
        for program in failing_programs(
            args.data, name, args.split if name == "natural" else None, args.count, args.seed
        )
    ]
    with Sandbox() as sandbox:
        sandbox.run("pass")  # says at once if programs cannot be run here
    records = args.out / "measurements.jsonl"
    known = _known(records)
    missing = [program for program in programs if program.id not in known]
    engine = Engine.load(bundle_path(args.bundle), threads=1)
    with (
        shown_progress(sys.stderr, "programs", len(missing)) as progress,
        records.open("a", encoding="utf-8") as file,
    ):
        for done, program in enumerate(missing, start=1):
            measurement = asyncio.run(
                measure(
                    program,
                    engine,
                    executions=args.executions,
                    uniform_executions=args.uniform_executions,
                    seed=args.seed,
                )
            )
            known[program.id] = measurement
            file.write(json.dumps(asdict(measurement)) + "\n")
            file.flush()
            progress.show(done)
    chosen = [known[program.id] for program in programs]
    figures = {name: summary([each for each in chosen if each.set_name == name], args.executions) for name in args.sets}
    (args.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    for name in args.sets:
        _show(name, figures[name], [each for each in chosen if each.set_name == name], args)


def summary(measured: Sequence[Measurement], executions: int) -> dict[str, Any]:
    """Figures of one set. The medians are over the programs that the guided order repairs.

    In an order that did not repair such a program, its first fix counts as lying beyond what was tried.
    """
    if not measured:
        raise BadInput("no program was measured", "give a larger --count")
    repaired = [each for each in measured if is_repaired(each, executions)]
    generator = np.random.default_rng(0)
    share = np.array([is_repaired(each, executions) for each in measured], dtype=np.float64)
    medians: dict[str, float | None] = {}
    for name in ORDERS:
        # None if more than half of them were not repaired in this order.
        middle = float(np.median([min(_first(each, name), 1e9) for each in repaired])) if repaired else 1e9
        medians[name] = None if middle >= 1e8 else middle
    return {
        "programs": len(measured),
        "repaired": len(repaired),
        "share": float(share.mean()),
        "band": band(share, 1000, generator),
        "median_executions": medians,
        "repaired_within": {
            name: sum(_first(each, name) <= executions for each in measured) / len(measured) for name in ORDERS
        },
    }


def is_repaired(measured: Measurement, executions: int) -> bool:
    """Whether the guided order repaired it within the executions, by a change of few lines."""
    small = measured.lines is not None and measured.lines <= _LINES_AT_MOST
    return small and _first(measured, "guided") <= executions


def _first(measured: Measurement, order: str) -> float:
    first = measured.firsts[order]
    return math.inf if first is None else float(first)


def _show(name: str, figures: dict[str, Any], measured: Sequence[Measurement], args: argparse.Namespace) -> None:
    """Print the figures of a set, and draw how many programs are repaired by executions."""
    low, high = figures["band"]
    print(f"{name}: {figures['repaired']} of {figures['programs']} repaired", end="")
    print(f" ({figures['share']:.1%}, 95% {low:.1%} to {high:.1%})")
    for order in ORDERS:
        median, within = figures["median_executions"][order], figures["repaired_within"][order]
        print(f"  {order}: median {'beyond' if median is None else f'{median:g}'} executions, {within:.1%} within")
    at = [float(count) for count in range(1, args.executions + 1)]
    curves = {order: rate_by_cost([_first(each, order) for each in measured], at) for order in ORDERS}
    title = f"{name}: programs repaired, by executions"
    plot_rates(curves, args.out / f"{name}.png", title=title, cost="executions", logarithmic=False)


def _known(path: Path) -> dict[str, Measurement]:
    """What was measured before; a last line that was cut short is measured again."""
    known: dict[str, Measurement] = {}
    for where, record in read_appended(path):
        try:
            measured = Measurement(**record)
        except TypeError as error:
            raise BadInput(f"{where}: is no measurement ({error})", "name another folder") from error
        known[measured.id] = measured
    return known


def _trees(folder: Path, out: Path) -> None:
    trees = frozen_trees(read_trees(folder))
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
