"""`risk-lsp probe evaluate`: figures of a bundle on the test problems, with a reliability diagram."""

from __future__ import annotations

import argparse
from pathlib import Path

from risk_lsp.training.probe_data import DATA_HELP


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp probe evaluate`."""
    parser.add_argument("bundle", type=Path, help="the bundle to measure")
    parser.add_argument("--data", type=Path, required=True, help=DATA_HELP)
    parser.add_argument("--plot", type=Path, help="write the reliability diagram to this PNG")
    parser.add_argument(
        "--update", action="store_true", help="write figures and reference tables into the bundle's manifest"
    )
    parser.add_argument("--readme", type=Path, help="write the table between the markers of this file")
    parser.add_argument(
        "--per-group",
        type=int,
        default=30,
        help="passing and failing programs of one problem at most (default 30 each)",
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int)


def run(args: argparse.Namespace) -> int:
    """Measure and print the table; returns the exit code."""
    from dataclasses import replace

    from risk_lsp.evaluation.plots import plot_reliability
    from risk_lsp.probe.manifest import write_manifest
    from risk_lsp.risk.engine import Engine
    from risk_lsp.training.evaluate_probe import figures, reference, reliability_curves
    from risk_lsp.training.figures_table import figures_markdown, update_between_markers
    from risk_lsp.training.probe_data import read_probe_data
    from risk_lsp.training.span_records import score_programs

    data = read_probe_data(args.data, args.per_group)
    calibrating, testing = data.of("calibration"), data.of("test")
    engine = Engine.load(args.bundle, device=args.device, dtype=args.dtype, threads=args.threads, whole_model=True)
    calibration, test = score_programs(engine, calibrating), score_programs(engine, testing)
    found = {
        "labels": data.labels,
        "programs": len(testing.programs),
        "benchmarks": sorted({program.benchmark for program in testing.programs}),
        "levels": figures(calibration, test),
    }
    table = figures_markdown(found)
    print(table)
    if args.plot:
        plot_reliability(reliability_curves(test), args.plot, title=f"Held-out problems: {engine.manifest.name}")
    if args.update:
        write_manifest(replace(engine.manifest, figures=found, reference=reference(test)), args.bundle)
    if args.readme:
        update_between_markers(args.readme, table)
    return 0
