"""Which probe is best: variants fitted on train problems, compared on calibration problems, never on test problems.

    python benchmarks/probe_variants.py MODEL DATA [--cache FOLDER] [--out FILE] [--only WORD ...]

Writes one record a variant to FILE, which `risk-lsp evaluate --attempts` shows; a variant that it holds is not run
again. The model runs once over every program; what it gives is kept in the cache folder. Variants are in
probe_attempts.py. Columns: AUC of lines, within failing programs, of tokens and programs; the lines' Brier skill and
the calibration errors of the map that is fitted on one half of the calibration problems and judged on the other.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from probe_attempts import Attempt, Bugs, Stage, attempts
from renamed_copies import renamed_copies
from token_ranks import log_ranks

from risk_lsp.evaluation.metrics import auc, brier_skill_score, expected_calibration_error
from risk_lsp.evaluation.program_metrics import within_group_auc
from risk_lsp.evaluation.reliability import platt_apply, platt_fit
from risk_lsp.model.code_model import CodeModel
from risk_lsp.probe.features import STATISTICS
from risk_lsp.probe.layout import LAYOUT, OFF_LINE
from risk_lsp.text.spans import Span
from risk_lsp.training.calibrate import fit_calibration, scaled_by_text, token_values
from risk_lsp.training.documents import is_held_out
from risk_lsp.training.feature_store import FeatureStore, WeightedPrograms, collect_features
from risk_lsp.training.fit_probe import HeadFit, fit_head
from risk_lsp.training.injected_bugs import with_injected_bugs
from risk_lsp.training.labelled import LabelledProgram
from risk_lsp.training.probe_data import ProbeData, read_probe_data
from risk_lsp.training.recipe import VALIDATION_SHARE
from risk_lsp.training.resampled_bugs import with_resampled_bugs

Floats = NDArray[np.float64]


def _whole(text: str) -> list[Span]:
    """Attempts differ in what is read and how, not in where texts are cut (where_to_cut.py)."""
    return [Span(0, len(text))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"))
    parser.add_argument("--out", type=Path, default=Path(".cache/probe_variants.json"))
    parser.add_argument("--only", nargs="+", default=[], help="a variant's name, or a word that names hold")
    parser.add_argument("--injected", type=int, default=3000, help="programs with a bug made by rules")
    parser.add_argument("--resampled", type=int, default=1500, help="programs with a bug that the model wrote")
    parser.add_argument("--per-group", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = CodeModel.load(args.model, threads=args.threads)
    done: list[dict[str, Any]] = json.loads(args.out.read_text()) if args.out.is_file() else []
    known = {record["variant"] for record in done}
    wanted = [attempt for attempt in _chosen(attempts(model.layer_count), args.only) if attempt.name not in known]
    bench = Bench(args, model, wanted)
    for attempt in wanted:
        started = time.monotonic()
        record = {"variant": attempt.name, **bench.measured(attempt), "seconds": time.monotonic() - started}
        print(json.dumps(record), flush=True)
        done.append(record)
        args.out.write_text(json.dumps(done, indent=1) + "\n")
    return 0


def _chosen(all_of_them: list[Attempt], words: Sequence[str]) -> list[Attempt]:
    """Those that a word names, or that hold a word that names none; all of them without words."""
    names = {attempt.name for attempt in all_of_them}
    return [
        attempt
        for attempt in all_of_them
        if not words or any(word == attempt.name or (word not in names and word in attempt.name) for word in words)
    ]


class Bench:
    """Features of training programs, of ones with bugs made by machine, and of calibration programs."""

    def __init__(self, args: argparse.Namespace, model: CodeModel, wanted: Sequence[Attempt]) -> None:
        self._data = args.data
        data = read_probe_data(args.data, args.per_group)
        self._training, self._calibrating = data.of("train"), data.of("calibration")
        kinds: dict[Bugs, list[LabelledProgram]] = {"rules": [], "model": []}
        if any(attempt.injected or attempt.pretrained for attempt in wanted):
            kinds["rules"] = with_injected_bugs(self._training.programs, args.injected, seed=1)
        if any(attempt.bugs == "model" for attempt in wanted):
            kinds["model"] = with_resampled_bugs(model, self._training.programs, args.resampled, seed=1)
        renamed = any(attempt.renamed for attempt in wanted)
        copies = renamed_copies(self._training.programs, seed=1) if renamed else []
        self._copies = len(copies)
        programs = [*self._training.programs, *kinds["rules"], *kinds["model"], *copies]
        self._layers = sorted({layer for attempt in wanted for layer in attempt.layers})
        self._width = model.width
        self._learnt, self._judged = (
            collect_features(model, each, self._layers, statistics=True, layout=True, cache=args.cache, parts=_whole)
            for each in (programs, self._calibrating.programs)
        )
        self._ranked = any(attempt.rank for attempt in wanted)
        if self._ranked:
            self._learnt, self._judged = (
                _with_ranks(store, log_ranks(model, [program.text for program in each], args.cache))
                for store, each in ((self._learnt, programs), (self._judged, self._calibrating.programs))
            )
        self._validation = np.array([is_held_out(program.group, VALIDATION_SHARE) for program in programs])
        real = len(self._training.programs)
        first = {"rules": real, "model": real + len(kinds["rules"])}
        self._made: dict[Bugs, NDArray[np.bool_]] = {
            kind: (np.arange(len(programs)) >= first[kind]) & (np.arange(len(programs)) < first[kind] + len(found))
            for kind, found in kinds.items()
        }

    def measured(self, attempt: Attempt) -> dict[str, float]:
        """Fit the variant, as often as its ensemble asks, and judge it."""
        learnt, judged = (_with_columns(store, self._columns(attempt)) for store in self._stores())
        fits = [self._fitted(attempt, learnt, seed) for seed in range(1, attempt.seeds + 1)]
        levels = _levels([(fit, token_values(fit.head, judged)) for fit in fits], judged)
        return _figures(levels, _weighted(self._calibrating, judged), judged, self._calibrating.groups)

    def _stores(self) -> tuple[FeatureStore, FeatureStore]:
        return self._learnt, self._judged

    def _columns(self, attempt: Attempt) -> NDArray[np.int64]:
        width, end = self._width, LAYOUT + len(self._layers) * self._width
        columns = [np.arange(LAYOUT if attempt.places else 0)]
        columns += [LAYOUT + self._layers.index(layer) * width + np.arange(width) for layer in attempt.layers]
        columns += [end + np.arange(STATISTICS)] if attempt.statistics else []
        return np.concatenate([*columns, [end + STATISTICS]] if attempt.rank else columns)

    def _fitted(self, attempt: Attempt, store: FeatureStore, seed: int) -> HeadFit:
        make = attempt.head
        for stage in attempt.stages(seed):
            torch.manual_seed(seed)
            weights = self._weights(attempt, stage, store)
            weights = self._with_copies(weights) if attempt.renamed else weights
            fit = fit_head(weights, self._validation, stage.options, make=make)
            make = _continued(fit)
        return fit

    def _weights(self, attempt: Attempt, stage: Stage, store: FeatureStore) -> WeightedPrograms:
        """Made bugs weigh `injected` times what real programs do; with `real` 0 these are left to the validation."""
        learnt = self._training if attempt.per_problem is None else self._fewer(attempt.per_problem)
        count = len(self._training.programs)
        made = self._made[attempt.bugs][count:]  # copies of programs come last, and are none
        extra = (
            stage.injected * sum(self._training.weights) / max(1, int(made.sum())) * (made & ~self._validation[count:])
        )
        is_judge = self._validation[:count]
        return WeightedPrograms(
            store,
            *(
                np.concatenate([np.where(is_judge, judging, stage.real * np.asarray(learning)), extra])
                for judging, learning in (
                    (self._training.weights, learnt.weights),
                    (self._training.span_weights, learnt.span_weights),
                )
            ),
        )

    def _fewer(self, per_problem: int) -> ProbeData:
        """The training programs, of which those weigh nothing that come after the first ones of their problem."""
        some = read_probe_data(self._data, per_problem)
        weights = dict(
            zip((each.id for each in some.programs), zip(some.weights, some.span_weights, strict=True), strict=True)
        )
        found = [weights.get(program.id, (0.0, 0.0)) for program in self._training.programs]
        return replace(
            self._training, weights=[weight for weight, _ in found], span_weights=[weight for _, weight in found]
        )

    def _with_copies(self, data: WeightedPrograms) -> WeightedPrograms:
        """Outside the validation a program and its copy share what the program weighs."""
        count = len(self._training.programs)
        shared = np.where(self._validation[:count], 0.0, 0.5)
        found = []
        for given in (data.weights, data.span_weights):
            weights = given.copy()
            weights[len(weights) - self._copies :] = shared * given[:count]
            weights[:count] -= shared * given[:count]
            found.append(weights)
        return WeightedPrograms(data.store, *found)


def _continued(fit: HeadFit) -> Any:
    """The next stage goes on from this one's head; its standardisation is computed anew from like features."""
    return lambda _: fit.head


def _weighted(data: ProbeData, store: FeatureStore) -> WeightedPrograms:
    return WeightedPrograms(store, np.asarray(data.weights), np.asarray(data.span_weights))


def _with_columns(store: FeatureStore, columns: NDArray[np.int64]) -> FeatureStore:
    """The store with some of its features."""
    if len(columns) == store.features.shape[1]:
        return store
    return replace(store, features=store.features[:, columns])


def _with_ranks(store: FeatureStore, ranks: NDArray[np.float16]) -> FeatureStore:
    """The store with one more feature, the last."""
    return replace(store, features=np.concatenate([store.features, ranks[:, None]], axis=1))


def _levels(fits: list[tuple[HeadFit, Floats]], store: FeatureStore) -> dict[str, Floats]:
    """A score by token, line and program: sums of the ensemble's mean hazards, else the mean log-odds."""
    if all(values.ndim == 1 for _, values in fits):
        return _sums(np.mean([values for _, values in fits], axis=0), store)
    spans = {
        "token": (np.arange(len(store.token_line)), len(store.token_line)),
        "line": (store.token_line, len(store.line_edited)),
        "program": (store.token_program, len(store.program_edited)),
    }
    return {level: np.mean([_logits(*fit, *each) for fit in fits], axis=0) for level, each in spans.items()}


def _sums(hazards: Floats, store: FeatureStore) -> dict[str, Floats]:
    on_line = store.token_line != OFF_LINE
    return {
        "token": hazards,
        "line": np.bincount(store.token_line[on_line], hazards[on_line], len(store.line_edited)).astype(np.float64),
        "program": np.bincount(store.token_program, hazards, len(store.program_edited)).astype(np.float64),
    }


def _logits(fit: HeadFit, values: Floats, spans: NDArray[np.int64], count: int) -> Floats:
    kept = spans >= 0
    with torch.inference_mode():
        logits = fit.head.span_logits(torch.from_numpy(values[kept]).float(), torch.from_numpy(spans[kept]), count)
    return logits.numpy().astype(np.float64)


def _figures(
    scores: dict[str, Floats], data: WeightedPrograms, store: FeatureStore, groups: NDArray[np.str_]
) -> dict[str, float]:
    labels = {"token": store.token_edited, "line": store.line_edited, "program": store.program_edited}
    weights = {"token": data.token_weights, "line": data.line_weights, "program": data.weights}
    failing = data.line_weights * store.program_edited[store.line_program]
    inside = failing > 0
    within = within_group_auc(
        scores["line"][inside], store.line_edited[inside], store.line_program[inside], failing[inside]
    )
    half = np.array([is_held_out(group, 0.5) for group in groups])
    probabilities = _calibrated(scores, data.only(half))
    program_of = {"token": store.token_program, "line": store.line_program, "program": np.arange(len(groups))}

    def judged(level: str, measure: Any) -> float:
        other = weights[level] * ~half[program_of[level]]
        kept = other > 0
        return float(measure(probabilities[level][kept], labels[level][kept], other[kept]))

    found = {
        "line AUC": auc(scores["line"], labels["line"], weights["line"]),
        "within failing": within,
        "token AUC": auc(scores["token"], labels["token"], weights["token"]),
        "program AUC": auc(scores["program"], labels["program"], weights["program"]),
        "line BSS": judged("line", brier_skill_score),
        "program BSS": judged("program", brier_skill_score),
        "line ECE": judged("line", expected_calibration_error),
        "program ECE": judged("program", expected_calibration_error),
    }
    return {name: round(float(value), 4) for name, value in found.items()}


def _calibrated(scores: dict[str, Floats], data: WeightedPrograms) -> dict[str, Floats]:
    """One map for all levels where scores are hazards; for log-odds, which are not coherent, one of Platt's a level."""
    store = data.store
    if min(values.min() for values in scores.values()) >= 0:
        calibration = fit_calibration(scores["token"], data)
        scaled = _sums(scaled_by_text(scores["token"], store, calibration), store)
        return {level: calibration.probability(values) for level, values in scaled.items()}
    labels = {"token": store.token_edited, "line": store.line_edited, "program": store.program_edited}
    weights = {"token": data.token_weights, "line": data.line_weights, "program": data.weights}
    probabilities = {level: 1.0 / (1.0 + np.exp(-values)) for level, values in scores.items()}
    return {
        level: platt_apply(values, platt_fit(values, labels[level], weights[level]))
        for level, values in probabilities.items()
    }


if __name__ == "__main__":
    sys.exit(main())
