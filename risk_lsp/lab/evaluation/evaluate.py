"""From a bundle and labelled programs to figures, plots and a report."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from risk_lsp.errors import BadInput
from risk_lsp.files import SHARED, write_whole
from risk_lsp.lab.evaluation.as_met.conditions import measures_of
from risk_lsp.lab.evaluation.as_met.report_parts import (
    SIDE_BY_SIDE,
    SOURCES,
    Bench,
    measure_part,
    parts_markdown,
    with_part,
)
from risk_lsp.lab.evaluation.cross_validation import (
    Fold,
    HeldOutScores,
    benchmark_folds,
    fit_folds,
    judge_folds,
    problem_folds,
)
from risk_lsp.lab.evaluation.figures import (
    PROBE,
    TRIVIAL,
    LevelStatistics,
    level_statistics,
    mean_figures,
    statistics_by_level,
)
from risk_lsp.lab.evaluation.reliability import plot_reliability, reliability_table
from risk_lsp.lab.evaluation.report_markdown import evaluation_markdown
from risk_lsp.lab.evaluation.rivals import Scores, ask_about, black_box_scores, read_answers
from risk_lsp.lab.evaluation.study import FoldFit, FoldStore, Study, read_study, score_programs
from risk_lsp.lab.span_tables import LEVELS, Level
from risk_lsp.lab.task_pool import RayCluster, TaskPool, ThisProcess
from risk_lsp.lab.training.fit_probe import Recipe
from risk_lsp.lab.training.labelled_programs import NATURAL, WRITTEN, ProbeData, read_ids, read_probe_data
from risk_lsp.lab.training.probe_fit_command import recipe_of
from risk_lsp.lab.training.training_documents import split_of
from risk_lsp.probe.manifest import BUILT_IN, bundle_path
from risk_lsp.risk.engine import Engine

_QUICK_RESAMPLES = 20
_FITTED_AGAIN = (SIDE_BY_SIDE, SOURCES)


def evaluate(args: argparse.Namespace, messages: TextIO) -> None:
    """Write evaluation.md, evaluation.json and images/ below `args.out`.

    Figures of parts that are not asked for now stay as evaluation.json has them, and so do those of other bundles. The
    tables of the folds are the first bundle's; without rivals, tables that are there stay.
    """
    if args.threads is not None or args.ray is not None:
        torch.set_num_threads(args.threads or 1)  # the model may run without torch, and sets others then
    args.out.mkdir(parents=True, exist_ok=True)
    found = _read_earlier(args.out / "evaluation.json")
    only = read_ids(args.only) if args.only else None
    data = read_probe_data(args.data, args.per_group, kinds=NATURAL, only=only).where(lambda _: True)
    resamples = _QUICK_RESAMPLES if args.quick else args.resamples
    pool = ThisProcess() if args.ray is None else RayCluster(args.ray, cpus=args.threads or 1)
    bench = Bench(data, args.bugs, args.texts, args.cache, resamples, pool)
    tables = not (args.no_rival and "five_folds" in found)
    for number, bundle in enumerate(args.bundle or [BUILT_IN]):
        engine = Engine.load(
            bundle_path(bundle),
            device=args.device,
            dtype=args.dtype,
            threads=args.threads,
            whole_model=not args.no_rival,
        )
        recipe = partial(_recipe, engine, args)
        for part in args.parts:
            try:
                if part in _FITTED_AGAIN and "tuned" in engine.manifest.trained_on.get("model", {}):
                    raise BadInput(
                        f"{part} fits probes without some of the programs, and the model of {engine.manifest.name}"
                        " was tuned on them",
                        "leave the part out of --parts, or tune a model without those programs",
                    )
                if part == SIDE_BY_SIDE:
                    written = data.where(lambda program: program.kind in WRITTEN)
                    folds, by_problem = _folds(engine, written, recipe(), args, resamples, pool, messages)
                    if tables and number == 0:
                        found |= {**folds, "plots": _plots(by_problem, args.out), "command": _command(args)}
                    measured = _side_by_side(engine.manifest.name, folds)
                else:
                    measured = measure_part(part, engine, bench, recipe)
            except BadInput as error:
                if not args.all_parts:
                    raise
                print(f"left out {part}: {error.message}", file=messages)
                continue
            found.setdefault("command", _command(args))
            found["parts"][part] = with_part(found["parts"].get(part), measured) | {"command": _command(args)}
            text = json.dumps(found, indent=1, allow_nan=False) + "\n"
            write_whole(args.out / "evaluation.json", text.encode(), SHARED)
    report = evaluation_markdown(found, parts_markdown(found["parts"], found["command"]))
    write_whole(args.out / "evaluation.md", report.encode(), SHARED)


def _read_earlier(path: Path) -> dict[str, Any]:
    """What an earlier run wrote; BadInput if the file is something else."""
    if not path.is_file():
        return {"parts": {}}
    try:
        known: dict[str, Any] = {"parts": {}, **json.loads(path.read_text("utf-8"))}
    except (ValueError, TypeError, RecursionError) as error:
        raise BadInput(f"{path} holds no figures: {error}", "remove it, or name another folder") from None
    return known


def _recipe(engine: Engine, args: argparse.Namespace) -> Recipe:
    recipe = recipe_of(engine.manifest, engine.model.layer_count)
    if args.members is not None:
        recipe = replace(recipe, options=replace(recipe.options, members=args.members))
    if args.quick:
        recipe = replace(recipe, injected=min(recipe.injected, 10), options=replace(recipe.options, epochs=3))
    return recipe


def _folds(
    engine: Engine,
    data: ProbeData,
    recipe: Recipe,
    args: argparse.Namespace,
    resamples: int,
    pool: TaskPool,
    messages: TextIO,
) -> tuple[dict[str, Any], HeldOutScores]:
    """A bundle's recipe and its rivals on problems and benchmarks that were held out, and the bundle as it ships.

    Gives the figures, and the scores of the problems that were held out.
    """
    study = read_study(engine, data, recipe, args.cache)
    answers = _answers(study, args, messages)
    unfitted, about = black_box_scores(study, args.samples, answers, args.reflect_model)
    store = FoldStore(args.cache and args.cache / "folds", study, engine.model.weights_hash, recipe)
    by_fold = problem_folds(study, 2 if args.quick else 5)
    several = len({program.benchmark for program in study.data.programs}) > 1
    by_benchmark = list(benchmark_folds(study)) if several else []
    fits = fit_folds(study, [*by_fold, *by_benchmark], recipe, store, pool)
    by_problem = judge_folds(study, by_fold, fits, unfitted)
    figures = {
        "bundle": engine.manifest.name,
        "recipe": engine.manifest.command,
        "members": recipe.options.members,
        "data": _counts(data),
        **about,
        "five_folds": _figures(by_problem, resamples),
        "unread": _figures(_only(by_problem, [split_of(group) != "train" for group in data.groups]), resamples),
        **_benchmarks_out(study, by_benchmark, fits, unfitted, resamples),
        "shipped": _figures_by_level(
            statistics_by_level(
                score_programs(engine, data.of("calibration")),
                score_programs(engine, data.of("test")),
                resamples=resamples,
            )
        ),
        "attempts": json.loads(args.attempts.read_text("utf-8")) if args.attempts else [],
    }
    return figures, by_problem


def _side_by_side(bundle: str, folds: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of the folds as the part that shows several bundles side by side."""

    def rows(technique: str) -> dict[str, Any]:
        found = {
            "five folds": measures_of(_techniques(folds["five_folds"]), technique),
            "benchmarks held out": measures_of(folds["benchmarks_mean"], technique),
        }
        return {row: measures for row, measures in found.items() if measures}

    shipped = {"as it ships": measures_of(_techniques(folds["shipped"]), PROBE)}
    counts = {name: folds["data"][name] for name in ("problems", "programs", "failing")}
    return {"about": counts, "columns": {bundle: {**rows(PROBE), **shipped}, TRIVIAL: rows(TRIVIAL)}}


def _techniques(levels: Mapping[str, Any]) -> dict[str, Any]:
    return {level: figures["techniques"] for level, figures in levels.items()}


def _answers(study: Study, args: argparse.Namespace, messages: TextIO) -> list[dict[int, float]]:
    if args.reflect_model is None:
        return []
    from risk_lsp.repair.endpoint import Endpoint, EndpointOptions

    path, programs = args.out / "reflection.jsonl", study.data.programs
    key = os.environ.get("OPENAI_API_KEY")
    endpoint = Endpoint(EndpointOptions(args.reflect_model, args.base_url, key, timeout=300), max_tokens=1024)
    # The order of the programs depends on their ids alone, so the first ones are of all kinds.
    ask_about(programs[: args.reflect_programs], endpoint, args.reflect_model, path, messages)
    return read_answers(programs, args.reflect_model, path)


def _benchmarks_out(
    study: Study, folds: list[Fold], fits: Mapping[str, FoldFit], unfitted: Scores, resamples: int
) -> dict[str, Any]:
    """The figures of each benchmark held out, and their means; each benchmark draws resamples of its own."""
    if not folds:
        return {"benchmarks_out": {}, "benchmarks_mean": {}}
    found = {
        fold.name: _statistics(judge_folds(study, [fold], fits, unfitted), resamples, seed)
        for seed, fold in enumerate(folds)
    }
    everywhere = [level for level in LEVELS if all(level in statistics for statistics in found.values())]
    return {
        "benchmarks_out": {name: _figures_by_level(statistics) for name, statistics in found.items()},
        "benchmarks_mean": {
            level: mean_figures([statistics[level] for statistics in found.values()]) for level in everywhere
        },
    }


def _figures(judged: HeldOutScores, resamples: int) -> dict[str, Any]:
    return _figures_by_level(_statistics(judged, resamples))


def _statistics(judged: HeldOutScores, resamples: int, seed: int = 0) -> dict[Level, LevelStatistics]:
    """The statistics by level. A level without spans has none, such as functions where all programs are scripts."""
    return {
        level: level_statistics(level, judged.records[level], judged.rescaled[level], resamples=resamples, seed=seed)
        for level in LEVELS
        if judged.records[level].weights.any()
    }


def _figures_by_level(statistics: Mapping[Level, LevelStatistics]) -> dict[str, Any]:
    return {level: each.figures() for level, each in statistics.items()}


def _only(judged: HeldOutScores, wanted: Iterable[bool]) -> HeldOutScores:
    """The same without the programs that are not wanted."""
    mask = np.array(list(wanted), dtype=np.float64)
    records = {
        level: replace(each, weights=each.weights * mask[each.program]) for level, each in judged.records.items()
    }
    if not records["program"].weights.any():
        raise BadInput("too few problems: none of the test or calibration ones", "give programs of more problems")
    return HeldOutScores(records, judged.rescaled)


def _counts(data: ProbeData) -> dict[str, Any]:
    benchmarks = {program.benchmark for program in data.programs}
    return {
        **_count_programs(data),
        "labels": data.labels,
        "models": len({program.model for program in data.programs}),
        "benchmarks": {
            name: _count_programs(data.where(lambda program, name=name: program.benchmark == name))  # type: ignore[misc]
            for name in sorted(benchmarks)
        },
    }


def _count_programs(data: ProbeData) -> dict[str, int]:
    failing = [program for program in data.programs if not program.passed]
    splits = [split_of(group) for group in {program.group for program in data.programs}]
    return {
        "problems": len(splits),
        "programs": len(data.programs),
        "failing": len(failing),
        "with_known_fix": sum(program.is_labelled for program in failing),
        "test": splits.count("test"),
        "calibration": splits.count("calibration"),
    }


def _plots(judged: HeldOutScores, out: Path) -> dict[str, str]:
    """Draw the reliability diagrams; returns their titles and places below `out`."""
    (out / "images").mkdir(exist_ok=True)
    lines = judged.records["line"]
    drawn: Mapping[str, Mapping[str, Any]] = {
        "The probe at every level": {
            f"{level}s": reliability_table(*_weigh_records(judged, level, PROBE))
            for level in LEVELS
            if judged.records[level].weights.any()
        },
        "Lines, every technique as it comes": {
            name: reliability_table(*_weigh_records(judged, "line", name)) for name in lines.scores
        },
    }
    places = {"The probe at every level": "images/evaluation-probe.png"}
    places["Lines, every technique as it comes"] = "images/evaluation-lines.png"
    for title, curves in drawn.items():
        plot_reliability(curves, out / places[title], title=title)
    return places


def _weigh_records(judged: HeldOutScores, level: Level, technique: str) -> tuple[Any, Any, Any]:
    records = judged.records[level]
    kept = records.weights > 0
    return records.scores[technique][kept], records.edited[kept], records.weights[kept]


def _command(args: argparse.Namespace) -> str:
    """The command without the places of this machine's files."""
    parts = [f"--per-group {args.per_group}", f"--resamples {args.resamples}", f"--parts {','.join(args.parts)}"]
    parts += [f"--bundle {Path(bundle).name}" for bundle in args.bundle or []]
    parts += [f"--texts {args.texts}"]
    parts += ["--bugs ..."] if args.bugs else []
    parts += [f"--members {args.members}"] if args.members else []
    parts += ["--samples ..."] if args.samples else []
    parts += [f"--reflect-model {shlex.quote(args.reflect_model)}"] if args.reflect_model else []
    parts += ["--attempts ..."] if args.attempts else []
    parts += ["--only ..."] if args.only else []
    parts += ["--no-rival"] if args.no_rival else []
    parts += ["--quick"] if args.quick else []
    return " ".join([f"risk-lsp evaluate {args.out.name} --data ...", *parts])
