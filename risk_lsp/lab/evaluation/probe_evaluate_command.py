"""`risk-lsp probe evaluate`: figures of a bundle on problems it never saw, with a reliability diagram."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.figures import LevelRecords, statistics_by_level
from risk_lsp.lab.evaluation.reliability import ReliabilityRow, reliability_table
from risk_lsp.lab.span_tables import LEVELS, Level
from risk_lsp.lab.training.labelled import DATA_HELP, NO_RIVAL_HELP

# The classes that the hover quotes: wide where lines are many and alike, so that each holds enough of them.
REFERENCE_EDGES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.35, 0.45, 0.55, 0.65, 1.0)
# As many as `risk-lsp evaluate` takes by default: the same records get the same intervals.
_RESAMPLES = 500


def figures(calibration: dict[Level, LevelRecords], test: dict[Level, LevelRecords]) -> dict[str, Any]:
    """Per level and technique: BSS, ECE and AUC, raw and after a Platt map that was fitted on the calibration problems.

    "within_failing_auc" is the mean AUC inside failing programs, "hits_at_3" the share of failing programs whose three
    likeliest lines hold an edited one. Intervals are 95%, by bootstrap over problems. A level without a span, such as
    functions where all programs are scripts, has none.
    """
    found: dict[str, Any] = {}
    for level, statistics in statistics_by_level(calibration, test, resamples=_RESAMPLES).items():
        told = statistics.figures()
        found[level] = {
            "n": len(test[level].edited),
            "problems": told["problems"],
            "base_rate": told["base_rate"],
            **{technique: _of_technique(measured) for technique, measured in told["techniques"].items()},
        }
    return found


def _of_technique(measured: dict[str, list[float | None]]) -> dict[str, Any]:
    names = {"within_failing_auc": "within_auc", "hits_at_3": "hits_at_3"}
    return {
        **{name: measured[name][0] for name in ("bss_raw", "ece_raw", "auc", "bss_platt", "ece_platt")},
        **{shown: measured[name][0] for shown, name in names.items() if name in measured},
        **{f"{name}_interval": measured[name][1:] for name in ("auc", "bss_platt")},
    }


def reference(test: dict[Level, LevelRecords]) -> dict[str, list[dict[str, float]]]:
    """What the shipped probabilities meant on the test problems, level by level, as the manifest keeps it."""
    return {
        level: [
            {key: value if key == "n" else round(value, 4) for key, value in row._asdict().items()}
            for row in _table(test[level], REFERENCE_EDGES)
        ]
        for level in _measured(test)
    }


def reliability_curves(test: dict[Level, LevelRecords]) -> dict[str, list[ReliabilityRow]]:
    """Ten equal bins a level, for the reliability diagram."""
    edges = tuple(np.linspace(0, 1, 11))
    return {f"{level}s": _table(test[level], edges) for level in _measured(test)}


def _measured(test: dict[Level, LevelRecords]) -> list[Level]:
    return [level for level in LEVELS if test[level].weights.any()]


def _table(records: LevelRecords, edges: tuple[float, ...]) -> list[ReliabilityRow]:
    return reliability_table(records.scores["probe"], records.edited, records.weights, edges)


BEGIN, END = "<!-- figures:begin -->", "<!-- figures:end -->"
_COLUMNS = ("BSS raw", "ECE raw", "AUC (95% interval)", "BSS Platt", "ECE Platt", "AUC within failing programs")


def figures_markdown(figures: dict[str, Any]) -> str:
    """One row per level and technique, and a sentence on what was measured."""
    rows = ["| level | technique | " + " | ".join(_COLUMNS) + " |", "|---|---|" + "---|" * len(_COLUMNS)]
    for level, found in figures["levels"].items():
        rows += [
            f"| {level} | {technique} | " + " | ".join(_cells(found[technique])) + " |"
            for technique in ("probe", "token probability")
            if technique in found
        ]
    line = figures["levels"]["line"]
    hits = line["probe"].get("hits_at_3")
    about = (
        f"{figures['programs']:,} programs of {line['problems']} problems that neither the model nor the probe saw"
        f" ({', '.join(figures['benchmarks'])}); {line['n']:,} lines, {line['base_rate']:.0%} of them edited."
        f" In {'n/a' if hits is None else f'{hits:.0%}'} of the failing programs"
        " an edited line is among the three likeliest."
    )
    return "\n".join([*rows, "", about])


def update_between_markers(path: Path, text: str) -> None:
    """Replace what stands between the markers in the file at `path`."""
    whole = path.read_text("utf-8") if path.is_file() else ""
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BadInput(f"{path} has no place for the figures", f"put {BEGIN} and {END} where the table belongs")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _cells(found: dict[str, Any]) -> list[str]:
    low, high = found["auc_interval"]
    return [
        _shown(found["bss_raw"], 2),
        _shown(found["ece_raw"]),
        f"{_shown(found['auc'])} ({_shown(low)}-{_shown(high)})",
        _shown(found["bss_platt"]),
        _shown(found["ece_platt"]),
        _shown(found["within_failing_auc"]) if "within_failing_auc" in found else "",
    ]


def _shown(value: float | None, digits: int = 3) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
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
    parser.add_argument("--no-rival", action="store_true", help=NO_RIVAL_HELP)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int)


def run_evaluate(args: argparse.Namespace) -> int:
    """Measure and print the table; returns the exit code."""
    from dataclasses import replace

    from risk_lsp.lab.evaluation.reliability import plot_reliability
    from risk_lsp.lab.evaluation.study import score_programs
    from risk_lsp.lab.training.labelled import NATURAL, WRITTEN, read_probe_data
    from risk_lsp.probe.manifest import write_manifest
    from risk_lsp.risk.engine import Engine

    # As `risk-lsp evaluate` chooses them, so that its figures are the same: repairs count in their problem's limit.
    data = read_probe_data(args.data, args.per_group, kinds=NATURAL).where(lambda program: program.kind in WRITTEN)
    calibrating, testing = data.of("calibration"), data.of("test")
    engine = Engine.load(
        args.bundle, device=args.device, dtype=args.dtype, threads=args.threads, whole_model=not args.no_rival
    )
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
