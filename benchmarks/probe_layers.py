"""Which layers of a model a probe should read, with its token statistics and without.

    python -m benchmarks.probe_layers PATCHES --model PATH --only FILE --cache FOLDER [--layers 4,8,12] [--sets 12 8,12]
                                      [--folds 3] [--hidden 32] [--averaging 0.99] [--threads 1] [--out FILE]

FILE lists the ids of the programs, one a line; those of test problems are left out. The model reads each program once,
in the normal form, at all of `--layers`, and the cache keeps what it gives: a run that was cut short goes on. A probe
of each set of layers is then fitted and judged in folds by problem. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from risk_lsp.lab.evaluation.as_met.conditions import measures_of
from risk_lsp.lab.evaluation.cross_validation import fit_folds, judge_folds, problem_folds
from risk_lsp.lab.evaluation.figures import PROBE, TRIVIAL, level_statistics
from risk_lsp.lab.evaluation.study import FoldStore, make_study
from risk_lsp.lab.span_tables import LEVELS
from risk_lsp.lab.task_pool import ThisProcess
from risk_lsp.lab.training.feature_store import FeatureStore, collect_features
from risk_lsp.lab.training.fit_probe import FitOptions, Recipe
from risk_lsp.lab.training.labelled_programs import NATURAL, ProbeData, read_ids, read_probe_data
from risk_lsp.lab.training.training_documents import split_of
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.sources import locate_model
from risk_lsp.probe.layout import LAYOUT
from risk_lsp.probe.token_hazards import STATISTICS

_SHOWN = {
    "AUC": "line_auc",
    "within": "within_auc",
    "BSS": "line_bss_raw",
    "ECE": "line_ece_raw",
    "programs": "program_auc",
}


def rows_of_sets(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row for each set of layers, without the token statistics and with them, and one of trivial features."""
    data = read_probe_data(args.data, args.per_group, kinds=NATURAL, only=read_ids(args.only))
    data = data.where(lambda program: split_of(program.group) != "test")
    model = CodeModel.load(locate_model(args.model).path, threads=args.threads)
    store = collect_features(
        model, data.programs, args.layers, statistics=True, layout=True, reading="normal-1", cache=args.cache
    )
    width, key = model.width, model.weights_hash
    del model
    torch.set_num_threads(args.threads)
    for layers in args.sets:
        for statistics in (False, True):
            yield from _judge_set(args, data, store, width, key, layers, statistics)


def _judge_set(
    args: argparse.Namespace,
    data: ProbeData,
    store: FeatureStore,
    width: int,
    key: str,
    layers: Sequence[int],
    statistics: bool,
) -> Iterator[dict[str, Any]]:
    name = f"{', '.join(map(str, layers))}{' and statistics' if statistics else ''}"
    recipe = Recipe(
        tuple(layers),
        statistics,
        0,
        args.per_group,
        FitOptions("lines", args.hidden, rate=args.rate, averaging=args.averaging, ranking=args.ranking),
    )
    columns = _columns_of(args.layers, layers, width, store.features.shape[1])
    study = make_study(data, np.array([], dtype=np.str_), replace(store, features=store.features[:, columns]))
    kept = FoldStore(args.cache / "folds", study, f"{key} {name}", recipe)
    folds = problem_folds(study, args.folds)
    judged = judge_folds(study, folds, fit_folds(study, folds, recipe, kept, ThisProcess()), {})
    levels: dict[str, Any] = {
        level: level_statistics(level, judged.records[level], judged.rescaled[level], resamples=500).figures()[
            "techniques"
        ]
        for level in LEVELS
        if judged.records[level].weights.any()
    }
    yield {"layers": name, **_shown(measures_of(levels, PROBE))}
    if layers == args.sets[0] and not statistics:
        yield {"layers": "trivial features", **_shown(measures_of(levels, TRIVIAL))}


def _columns_of(known: Sequence[int], wanted: Sequence[int], width: int, count: int) -> NDArray[np.int64]:
    """Where features of the wanted layers stand among those of all known ones, with the layout and the statistics."""
    starts = [LAYOUT + known.index(layer) * width for layer in wanted]
    parts = [np.arange(start, start + width) for start in starts]
    return np.concatenate([np.arange(LAYOUT), *parts, np.arange(count - STATISTICS, count)])


def _shown(measures: dict[str, Any]) -> dict[str, Any]:
    return {short: measures[measure] for short, measure in _SHOWN.items()}


def _line_of(row: dict[str, Any]) -> str:
    cells = ["{:.3f} ({:.3f}-{:.3f})".format(*row[short]) for short in _SHOWN]
    return f"| {row['layers']} | {' | '.join(cells)} |"


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def main() -> int:
    """Read, fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="what `make patches` makes")
    parser.add_argument("--model", required=True, help="a model as for `probe fit`")
    parser.add_argument("--only", type=Path, required=True, metavar="FILE", help="ids of programs, one a line")
    parser.add_argument("--cache", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--layers", type=_numbers, required=True, help="all that any set has")
    parser.add_argument("--sets", type=_numbers, nargs="+", required=True, help="such as 12 18 12,18")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--per-group", type=int, default=30)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--averaging", type=float, default=0.99)
    parser.add_argument("--ranking", type=float, default=0.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="a JSON Lines file, which gets a row as soon as it is known")
    args = parser.parse_args()
    print(f"| layers | {' | '.join(_SHOWN)} |\n|---|{'---|' * len(_SHOWN)}")
    for row in rows_of_sets(args):
        print(_line_of(row), flush=True)
        if args.out is not None:
            with args.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
