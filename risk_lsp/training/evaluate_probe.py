"""Figures of a probe on problems it never saw: raw and Platt-scaled, beside the token-probability baseline."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.evaluation.level_records import LevelRecords
from risk_lsp.evaluation.metrics import auc, base_rate, brier_skill_score, expected_calibration_error
from risk_lsp.evaluation.problem_bootstrap import ProblemBootstrap, interval_of
from risk_lsp.evaluation.program_metrics import hits_at_k, within_group_auc
from risk_lsp.evaluation.reliability import ReliabilityRow, platt_apply, platt_fit, reliability_table
from risk_lsp.evaluation.spans import LEVELS, Level

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
