"""Which probe is best: variants fitted on train problems, compared on calibration problems, never on test problems.

    python benchmarks/probe_variants.py MODEL DATA [--cache FOLDER] [--injected N]

Prints a Markdown table: line AUC, line AUC within failing programs, program AUC, and the lines' Brier skill score when
the map is fitted on one half of the calibration problems and judged on the other. The model runs once; its features are
kept in the cache folder.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from risk_lsp.evaluation.metrics import auc, brier_skill_score
from risk_lsp.evaluation.program_metrics import within_group_auc
from risk_lsp.model.code_model import CodeModel
from risk_lsp.probe.features import STATISTICS
from risk_lsp.probe.heads import HazardHead, SpanHead
from risk_lsp.training.calibrate import fit_calibration, token_hazards
from risk_lsp.training.documents import is_held_out
from risk_lsp.training.feature_store import FeatureStore, collect_features
from risk_lsp.training.fit_probe import FitOptions, fit_head
from risk_lsp.training.injected_bugs import with_injected_bugs
from risk_lsp.training.labelled import LabelledProgram
from risk_lsp.training.probe_data import read_probe_data

Floats = NDArray[np.float64]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--cache", type=Path, default=Path(".cache/probe_variants"))
    parser.add_argument("--injected", type=int, default=4000)
    parser.add_argument("--per-group", type=int, default=30)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    data = read_probe_data(args.data, args.per_group)
    training, calibrating = data.of("train"), data.of("calibration")
    injected = with_injected_bugs(training.programs, args.injected, seed=1)
    model = CodeModel.load(args.model, threads=args.threads)
    layers = range(model.layer_count + 1)
    args.cache.mkdir(parents=True, exist_ok=True)
    fitted = _cached(args.cache / "training.npz", model, training.programs + injected, layers)
    held_out = _cached(args.cache / "calibration.npz", model, calibrating.programs, layers)
    print("| variant | line AUC | within failing | program AUC | line BSS | seconds |\n|---|---|---|---|---|---|")
    for name, taps, statistics, share, options in _variants(model.layer_count):
        started = time.monotonic()
        columns = _columns(taps, statistics, model)
        weight = share * sum(training.weights) / max(1, len(injected))
        weights = np.array(training.weights + [weight] * len(injected))
        validation = np.array([is_held_out(program.group, 0.15) for program in training.programs + injected])
        weights[len(training.programs) :] *= ~validation[len(training.programs) :]
        fit = fit_head(fitted, weights, validation, options, columns)
        groups = np.array([program.group for program in calibrating.programs])
        cells = _measured(fit.head, held_out, np.asarray(calibrating.weights), groups, columns)
        print(f"| {name} | " + " | ".join(cells) + f" | {time.monotonic() - started:.0f} |", flush=True)
    return 0


def _variants(top: int) -> list[tuple[str, tuple[int, ...], bool, float, FitOptions]]:
    middle = (top + 1) // 2
    base = FitOptions()
    return [
        (f"layers {middle},{top}, statistics, injected", (middle, top), True, 0.5, base),
        ("without injected bugs", (middle, top), True, 0.0, base),
        ("without statistics", (middle, top), False, 0.5, base),
        (f"layer {top} alone", (top,), True, 0.5, base),
        (f"layer {middle} alone", (middle,), True, 0.5, base),
        ("all layers", tuple(range(1, top + 1)), True, 0.5, base),
        ("hidden 128", (middle, top), True, 0.5, FitOptions(hidden=128)),
        ("Brier loss", (middle, top), True, 0.5, FitOptions(loss="brier")),
        ("rate 3e-4", (middle, top), True, 0.5, FitOptions(rate=3e-4, epochs=40)),
        ("weight decay 1", (middle, top), True, 0.5, FitOptions(weight_decay=1.0)),
        ("max-pool", (middle, top), True, 0.5, FitOptions(architecture="max_pool")),
        (
            "max-pool, Brier loss, no injected",
            (middle, top),
            True,
            0.0,
            FitOptions(architecture="max_pool", loss="brier"),
        ),
    ]


def _columns(taps: tuple[int, ...], statistics: bool, model: CodeModel) -> NDArray[np.int64]:
    width = model.width
    columns = [np.arange(layer * width, (layer + 1) * width) for layer in taps]
    end = (model.layer_count + 1) * width
    return np.concatenate([*columns, np.arange(end, end + STATISTICS)] if statistics else columns)


def _cached(path: Path, model: CodeModel, programs: list[LabelledProgram], layers: range) -> FeatureStore:
    if path.is_file():
        with np.load(path) as arrays:
            return FeatureStore(**{field.name: arrays[field.name] for field in fields(FeatureStore)})
    print(f"reading {len(programs):,} programs", file=sys.stderr)
    store = collect_features(model, programs, layers, statistics=True)
    np.savez(path, **{field.name: getattr(store, field.name) for field in fields(store)})
    return store


def _measured(
    head: SpanHead, store: FeatureStore, weights: Floats, groups: NDArray[np.str_], columns: NDArray[np.int64]
) -> list[str]:
    lines = store.line_scored
    line_weights = weights[store.line_program][lines]
    labels, programs = store.line_edited[lines], store.line_program[lines]
    by_line, by_program = _span_scores(head, store, columns)
    failing = line_weights * store.program_edited[programs]
    measured = [
        auc(by_line[lines], labels, line_weights),
        within_group_auc(by_line[lines], labels, programs, failing),
        auc(by_program, store.program_edited, weights),
    ]
    if isinstance(head, HazardHead):
        half = np.array([is_held_out(group, 0.5) for group in groups])
        calibration = fit_calibration(head, store, weights * half, columns)
        other = line_weights * ~half[programs]
        measured.append(brier_skill_score(calibration.probability(by_line[lines]), labels, other))
    return [f"{value:.3f}" for value in measured] + [""] * (4 - len(measured))


def _span_scores(head: SpanHead, store: FeatureStore, columns: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """A score per line and per program: sums of hazards, or the max-pool probe's log-odds."""
    if isinstance(head, HazardHead):
        hazards = token_hazards(head, store, columns)
        lines = np.bincount(store.token_line, hazards, len(store.line_edited))
        return lines.astype(np.float64), np.bincount(store.token_program, hazards, len(store.program_edited)).astype(
            np.float64
        )
    import torch

    with torch.inference_mode():
        features = torch.from_numpy(store.features[:, columns]).float()
        scores = [
            head.span_logits(features, torch.from_numpy(spans), count).numpy().astype(np.float64)
            for spans, count in (
                (store.token_line, len(store.line_edited)),
                (store.token_program, len(store.program_edited)),
            )
        ]
    return scores[0], scores[1]


if __name__ == "__main__":
    sys.exit(main())
