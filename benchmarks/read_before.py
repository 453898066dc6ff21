"""Does it harm a probe that its model has read the programs it learns from? Probes fitted to either kind, by line AUC.

    python benchmarks/read_before.py MODEL DATA [--layers 4,7] [--cache FOLDER] [--per-group 8]

The model has read programs of training problems, and none of calibration and test problems. These are cut into two
halves, and each probe (`lines`, weights averaged by .997, one seed) is judged on both: fitted to one half, to as many
programs of training problems, and to all of those. A row's figure for the half that it was fitted to says nothing.
First it says how surprised the model is by the programs of each split: nats a token, the mean of their means.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from risk_lsp.evaluation.metrics import auc
from risk_lsp.evaluation.program_metrics import within_group_auc
from risk_lsp.evaluation.splits import split_of
from risk_lsp.model.code_model import CodeModel
from risk_lsp.probe.features import STATISTICS
from risk_lsp.probe.layout import OFF_LINE
from risk_lsp.text.spans import Span
from risk_lsp.training.calibrate import token_values
from risk_lsp.training.documents import is_held_out
from risk_lsp.training.feature_store import WeightedPrograms, collect_features
from risk_lsp.training.fit_probe import FitOptions, HeadFit, fit_head
from risk_lsp.training.probe_data import ProbeData, read_probe_data
from risk_lsp.training.recipe import VALIDATION_SHARE

_OPTIONS = FitOptions(rate=1e-3, epochs=20, patience=3, architecture="lines", averaging=0.997)
Mask = NDArray[np.bool_]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--layers", help="tapped layers (default: the middle and the last)")
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"))
    parser.add_argument("--per-group", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = CodeModel.load(args.model, threads=args.threads)
    top = model.layer_count
    layers = [int(layer) for layer in args.layers.split(",")] if args.layers else [(top + 1) // 2, top]
    data = read_probe_data(args.data, args.per_group)
    unread, read = _joined(data.of("calibration"), data.of("test")), data.of("train")
    unread_programs, read_programs = (_collected(model, each, layers, args.cache) for each in (unread, read))
    for source, programs in ((read, read_programs), (unread, unread_programs)):
        _print_surprisal(source, programs)
    half = np.array([is_held_out(f"half {program.group}", 0.5) for program in unread.programs])
    share = float(half.sum()) / len(read.programs)
    some = np.array([is_held_out(f"some {program.group}", share) for program in read.programs])
    for name, source, programs, chosen in (
        ("unread, first half", unread, unread_programs, half),
        ("unread, second half", unread, unread_programs, ~half),
        ("read, as many", read, read_programs, some),
        ("read, all", read, read_programs, np.ones(len(some), dtype=np.bool_)),
    ):
        fit = _fitted(source, programs.only(chosen))
        figures = [_figures(fit, unread_programs.only(each)) for each in (half, ~half)]
        shown = "; ".join(f"line AUC {line:.3f}, within failing {within:.3f}" for line, within in figures)
        print(f"{name} ({int(chosen.sum())} programs): first half {shown.replace('; ', '; second half ')}", flush=True)
    return 0


def _joined(first: ProbeData, second: ProbeData) -> ProbeData:
    return replace(
        first,
        programs=first.programs + second.programs,
        weights=first.weights + second.weights,
        span_weights=first.span_weights + second.span_weights,
    )


def _collected(model: CodeModel, data: ProbeData, layers: list[int], cache: Path) -> WeightedPrograms:
    store = collect_features(
        model,
        data.programs,
        layers,
        statistics=True,
        layout=True,
        cache=cache,
        parts=lambda text: [Span(0, len(text))],
    )
    return WeightedPrograms(store, np.asarray(data.weights), np.asarray(data.span_weights))


def _print_surprisal(data: ProbeData, programs: WeightedPrograms) -> None:
    store = programs.store
    surprisal = store.features[:, -STATISTICS].astype(np.float64)
    counts = np.maximum(np.diff(store.token_bounds), 1)
    means = np.bincount(store.token_program, surprisal, len(counts)) / counts
    kinds = np.array([(split_of(program.group), program.benchmark) for program in data.programs])
    for split, benchmark in np.unique(kinds, axis=0):
        chosen = (kinds == (split, benchmark)).all(axis=1)
        print(f"{split} {benchmark}: {means[chosen].mean():.2f} nats a token, {chosen.sum()} programs", flush=True)


def _fitted(data: ProbeData, programs: WeightedPrograms) -> HeadFit:
    validation = np.array([is_held_out(program.group, VALIDATION_SHARE) for program in data.programs])
    torch.manual_seed(_OPTIONS.seed)
    return fit_head(programs, validation, _OPTIONS)


def _figures(fit: HeadFit, programs: WeightedPrograms) -> tuple[float, float]:
    """The AUC of lines, of all programs and within failing ones."""
    store = programs.store
    on_line = store.token_line != OFF_LINE
    hazards = token_values(fit.head, store)[on_line]
    scores = np.bincount(store.token_line[on_line], hazards, len(store.line_edited)).astype(np.float64)
    counted = programs.line_weights > 0
    inside = counted & store.program_edited[store.line_program]
    return (
        auc(scores[counted], store.line_edited[counted], programs.line_weights[counted]),
        within_group_auc(
            scores[inside], store.line_edited[inside], store.line_program[inside], programs.line_weights[inside]
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
