"""`risk-lsp probe evaluate`: figures of a bundle on problems it never saw, with a reliability diagram."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.figures import LevelRecords
from risk_lsp.lab.evaluation.metrics import auc, base_rate, brier_skill_score, expected_calibration_error
from risk_lsp.lab.evaluation.problem_bootstrap import ProblemBootstrap, interval_of
from risk_lsp.lab.evaluation.program_metrics import hits_at_k, within_group_auc
from risk_lsp.lab.evaluation.reliability import ReliabilityRow, platt_apply, platt_fit, reliability_table
from risk_lsp.lab.training.labelled import DATA_HELP
from risk_lsp.lab.training.spans import LEVELS, Level

# The classes that the hover quotes: wide where lines are many and alike, so that each holds enough of them.
REFERENCE_EDGES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.35, 0.45, 0.55, 0.65, 1.0)
# As many as `risk-lsp evaluate` takes by default: the same records get the same intervals.
_RESAMPLES = 500
Floats = NDArray[np.float64]


def figures(calibration: dict[Level, LevelRecords], test: dict[Level, LevelRecords]) -> dict[str, Any]:
    """Per level and technique: BSS, ECE and AUC, raw and after a Platt map that was fitted on the calibration problems.

    "within_failing_auc" is the mean AUC inside failing programs, "hits_at_3" the share of failing programs whose three
    likeliest lines hold an edited one. Intervals are 95%, by bootstrap over problems. A level without a span, such as
    functions where all programs are scripts, has none.
    """
    return {level: _level_figures(level, calibration[level], test[level]) for level in _measured(test)}


def reference(test: dict[Level, LevelRecords]) -> dict[str, list[dict[str, float]]]:
    """What the shipped probabilities meant on the test problems, level by level, as the manifest keeps it."""
    return {
        level: [_rounded(row) for row in _table(test[level], test[level].scores["probe"], REFERENCE_EDGES)]
        for level in _measured(test)
    }


def reliability_curves(test: dict[Level, LevelRecords]) -> dict[str, list[ReliabilityRow]]:
    """Ten equal bins a level, for the reliability diagram."""
    edges = tuple(np.linspace(0, 1, 11))
    return {f"{level}s": _table(test[level], test[level].scores["probe"], edges) for level in _measured(test)}


def _measured(test: dict[Level, LevelRecords]) -> list[Level]:
    return [level for level in LEVELS if test[level].weights.any()]


def _level_figures(level: str, calibration: LevelRecords, test: LevelRecords) -> dict[str, Any]:
    kept = test.weights > 0
    bootstrap = ProblemBootstrap(test.group[kept], test.weights[kept], resamples=_RESAMPLES)
    found: dict[str, Any] = {
        "n": len(test.edited),
        "problems": len(np.unique(test.group[test.weights > 0])),
        "base_rate": _short(base_rate(test.edited, test.weights)),
    }
    for technique, raw in test.scores.items():
        scaled = _scaled(raw, technique, calibration)
        auc_interval = interval_of(bootstrap.auc(raw[kept], test.edited[kept]))
        bss_interval = interval_of(bootstrap.brier_skill_score(scaled[kept], test.edited[kept]))
        found[technique] = _technique_figures(level, test, raw, scaled) | {
            "auc_interval": [_short(auc_interval.low), _short(auc_interval.high)],
            "bss_platt_interval": [_short(bss_interval.low), _short(bss_interval.high)],
        }
    return found


def _scaled(raw: Floats, technique: str, calibration: LevelRecords) -> Floats:
    """After Platt's map; as they come where the calibration problems have nothing to fit it to."""
    if not calibration.weights.any():
        return raw
    return platt_apply(raw, platt_fit(calibration.scores[technique], calibration.edited, calibration.weights))


def _technique_figures(level: str, test: LevelRecords, raw: Floats, scaled: Floats) -> dict[str, Any]:
    labels, weights = test.edited, test.weights
    found = {
        "bss_raw": _short(brier_skill_score(raw, labels, weights)),
        "ece_raw": _short(expected_calibration_error(raw, labels, weights)),
        "auc": _short(auc(raw, labels, weights)),
        "bss_platt": _short(brier_skill_score(scaled, labels, weights)),
        "ece_platt": _short(expected_calibration_error(scaled, labels, weights)),
    }
    if level not in ("function", "program"):
        inside = weights * test.failing
        found["within_failing_auc"] = _short(within_group_auc(raw, labels, test.program, inside))
    if level == "line":
        found["hits_at_3"] = _short(hits_at_k(raw, labels, test.program, 3, weights * test.failing))
    return found


def _table(records: LevelRecords, scores: Floats, edges: tuple[float, ...]) -> list[ReliabilityRow]:
    return reliability_table(scores, records.edited, records.weights, edges)


def _rounded(row: ReliabilityRow) -> dict[str, float]:
    return {key: value if key == "n" else round(value, 4) for key, value in row._asdict().items()}


def _short(value: float) -> float | None:
    """Four digits; None for a figure that the records leave undefined, for JSON has no NaN."""
    return None if math.isnan(value) else round(float(value), 4)


BEGIN, END = "<!-- figures:begin -->", "<!-- figures:end -->"
_COLUMNS = ("BSS raw", "ECE raw", "AUC (95% interval)", "BSS Platt", "ECE Platt", "AUC within failing programs")


def figures_markdown(figures: dict[str, Any]) -> str:
    """One row per level and technique, and a sentence on what was measured."""
    rows = ["| level | technique | " + " | ".join(_COLUMNS) + " |", "|---|---|" + "---|" * len(_COLUMNS)]
    for level, found in figures["levels"].items():
        rows += [
            f"| {level} | {technique} | " + " | ".join(_cells(found[technique])) + " |"
            for technique in ("probe", "token probability")
        ]
    line = figures["levels"]["line"]
    about = (
        f"{figures['programs']:,} programs of {line['problems']} problems that neither the model nor the probe saw"
        f" ({', '.join(figures['benchmarks'])}); {line['n']:,} lines, {line['base_rate']:.0%} of them edited."
        f" In {_percent(line['probe']['hits_at_3'])} of the failing programs"
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


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.0%}"


def _shown(value: float | None, digits: int = 3) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"


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

    from risk_lsp.lab.evaluation.plots import plot_reliability
    from risk_lsp.lab.evaluation.study import score_programs
    from risk_lsp.lab.training.labelled import read_probe_data
    from risk_lsp.probe.manifest import write_manifest
    from risk_lsp.risk.engine import Engine

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
