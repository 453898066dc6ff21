"""How many runs it takes to repair failing programs when the same candidates are tried in several orders."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.edits.candidates import Candidate, candidates, cuts_code_off
from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.pass_rates import plot_rates
from risk_lsp.lab.evaluation.problem_bootstrap import band, rate_by_cost
from risk_lsp.lab.json_lines import read_appended, read_objects
from risk_lsp.lab.patches.programs import Sample, end_of_given, problems_by_id, read_samples
from risk_lsp.lab.task_pool import RayCluster, ThisProcess
from risk_lsp.lab.training.training_documents import Split, split_of
from risk_lsp.model.infilling import preferences
from risk_lsp.probe.manifest import bundle_path
from risk_lsp.repair.embedded import HAZARD_FEATURES, RankingWeights, fitted_weights, masses
from risk_lsp.repair.execution import Execution, ProblemTests
from risk_lsp.repair.harness import Evidence
from risk_lsp.repair.workbench import changed_lines
from risk_lsp.report.wording import shown_progress
from risk_lsp.risk.engine import Engine
from risk_lsp.sandbox.sandbox import Sandbox
from risk_lsp.sandbox.verdicts import Problem

SetName = Literal["humanevalfix", "natural"]
_FIX = "repairs_humanevalfix.jsonl.xz"
_HINT = "name the folder with the problems and programs with --data"


class FailingProgram(NamedTuple):
    """A program that fails its problem's tests; the model wrote what follows the offset `given`."""

    set_name: SetName
    problem: Problem
    model: str
    text: str
    given: int

    @property
    def id(self) -> str:
        """Names the program in records."""
        return f"{self.set_name}/{self.problem.task_id}/{self.model}"


def failing_programs(
    folder: Path, set_name: SetName, split: Split | None, count: int, seed: int
) -> list[FailingProgram]:
    """Up to `count` programs, of one split of the problems or of all; the same seed gives the same ones.

    "natural" holds failures that were verified by a run, one of each problem. BadInput if the folder lacks the files.
    """
    files = sorted(folder.glob("problems_*.jsonl.xz")) if folder.is_dir() else []
    if not files:
        raise BadInput(f"{folder} holds no problems_*.jsonl.xz", _HINT)
    problems = problems_by_id(files)
    found = _read_injected(folder, problems) if set_name == "humanevalfix" else _natural(folder, problems, seed)
    kept = [program for program in found if split is None or split_of(program.problem.group) == split]
    if not kept:
        raise BadInput(f"{folder} holds no failing programs for {set_name}", _HINT)
    random.Random(seed).shuffle(kept)
    return kept[:count]


def _read_injected(folder: Path, problems: dict[str, Problem]) -> list[FailingProgram]:
    path = folder / _FIX
    if not path.is_file():
        raise BadInput(f"{folder} holds no {_FIX}", _HINT)
    return [
        _failing("humanevalfix", problems[record["task_id"]], "people", record["program"], record["prompt_lines"])
        for _, record in read_objects(path)
        if record["task_id"] in problems and record["verified"] is False
    ]


def _natural(folder: Path, problems: dict[str, Problem], seed: int) -> list[FailingProgram]:
    by_group: dict[str, list[Sample]] = {}
    files = sorted(folder.glob("samples_*.jsonl.xz"))
    if not files:
        raise BadInput(f"{folder} holds no samples_*.jsonl.xz", _HINT)
    for sample in (sample for file in files for sample in read_samples(file)):
        has_tests = sample.task_id in problems and problems[sample.task_id].test_kind != "none"
        if has_tests and sample.verified is False and not sample.conflict:
            by_group.setdefault(sample.group, []).append(sample)
    chooser = random.Random(seed)
    chosen = [chooser.choice(by_group[group]) for group in sorted(by_group)]
    return [
        _failing("natural", problems[sample.task_id], sample.model, sample.program, sample.prompt_lines)
        for sample in chosen
    ]


def _failing(set_name: SetName, problem: Problem, model: str, text: str, prompt_lines: int) -> FailingProgram:
    return FailingProgram(set_name, problem, model, text, end_of_given(text, prompt_lines))


ORDERS = ("guided", "uniform", "without the probe", "probe alone")
_BATCH = 24


@dataclass(frozen=True)
class Measurement:
    """One program. firsts: by order, the execution that was the first to pass, or None within `tried` of them.

    The watched run of the program itself is counted for every order but the uniform one, which makes no use of it.
    lines: how many lines the first repair of the guided order changes; None without one.
    """

    id: str
    group: str
    set_name: str
    candidates: int
    firsts: dict[str, int | None]
    tried: dict[str, int]
    lines: int | None
    seconds: float


async def measure(
    program: FailingProgram, engine: Engine, *, executions: int, uniform_executions: int, seed: int
) -> Measurement:
    """Try candidates in each order until one passes; a verdict is made once and counts in every order."""
    started = time.monotonic()
    found = candidates(program.text, given=program.given)
    async with Execution(ProblemTests(program.problem)) as execution:
        examined = await execution.examine(program.text)
        orders = _orders(program, engine, found, examined.evidence, seed)
        trial = _Trial(execution, program.text, found)
        firsts: dict[str, int | None] = {}
        tried: dict[str, int] = {}
        repair: Candidate | None = None
        for name in ORDERS:
            watched = 0 if name == "uniform" else 1
            limit = uniform_executions if name == "uniform" else executions - watched
            first = await trial.first(orders[name][:limit])
            firsts[name] = None if first is None else first + 1 + watched
            tried[name] = min(limit, len(found)) + watched
            if name == "guided" and first is not None:
                repair = found[orders[name][first]]
    lines = None if repair is None else changed_lines(program.text, repair.text)
    group, seconds = program.problem.group, time.monotonic() - started
    return Measurement(program.id, group, program.set_name, len(found), firsts, tried, lines, seconds)


class _Trial:
    """Verdicts on the candidates of one program, each made when it is first needed."""

    def __init__(self, execution: Execution, text: str, found: Sequence[Candidate]) -> None:
        self._execution = execution
        self._text = text
        self._found = found
        self._known: dict[int, bool] = {}

    async def first(self, order: Sequence[int]) -> int | None:
        """The place in the order of the first candidate that passes, by itself too; None if none does."""
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            unknown = [index for index in batch if index not in self._known]
            verdicts = await self._execution.passes([self._found[index].text for index in unknown])
            for index, passed in zip(unknown, verdicts, strict=True):
                text = self._found[index].text
                sound = passed and not cuts_code_off(self._text, text)
                self._known[index] = sound and await self._execution.confirms(text)
            for place, index in enumerate(batch, start=start):
                if self._known[index]:
                    return place
        return None


def _orders(
    program: FailingProgram, engine: Engine, found: Sequence[Candidate], evidence: Evidence, seed: int
) -> dict[str, list[int]]:
    """The candidates' indices in each order."""
    risk = engine.score(program.text)
    preferred = preferences(engine.model, program.text, [candidate.text for candidate in found])
    weights = fitted_weights()

    def by(chosen: RankingWeights) -> list[int]:
        mass: NDArray[np.float64] = masses(program.text, found, risk, preferred, evidence, chosen)
        return [int(index) for index in np.argsort(-mass, kind="stable")]

    shuffled = list(range(len(found)))
    random.Random(f"{seed}:{program.id}").shuffle(shuffled)
    return {
        "guided": by(weights),
        "uniform": shuffled,
        "without the probe": by(replace(weights, features=weights.features | _NO_HAZARDS)),
        "probe alone": by(_PROBE_ALONE),
    }


# Nothing but the hazard of the tokens that an edit touches.
_NO_HAZARDS = dict.fromkeys(HAZARD_FEATURES, 0.0)
_PROBE_ALONE = RankingWeights(dict.fromkeys(HAZARD_FEATURES[:1], 1.0), {}, 0.0)


_LINES_AT_MOST = 5  # that a change may touch to count as a repair


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


def _read_measurements(path: Path) -> dict[str, Measurement]:
    """What was measured before; a last line that was cut short is measured again."""
    known: dict[str, Measurement] = {}
    for where, record in read_appended(path):
        try:
            measured = Measurement(**record)
        except TypeError as error:
            raise BadInput(f"{where}: is no measurement ({error})", "name another folder") from error
        known[measured.id] = measured
    return known


def measure_sets(args: argparse.Namespace) -> None:
    """Measure what `risk-lsp evaluate repair` names, print the figures, and write them beside the records."""
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
    known = _read_measurements(records)
    missing = [program for program in programs if program.id not in known]
    pool = ThisProcess() if args.ray is None else RayCluster(args.ray)
    trial = {"executions": args.executions, "uniform_executions": args.uniform_executions, "seed": args.seed}
    job = partial(_open_measure, bundle_path(args.bundle).absolute(), trial)
    with (
        shown_progress(sys.stderr, "programs", len(missing)) as progress,
        records.open("a", encoding="utf-8") as file,
    ):
        for done, measurement in enumerate(pool.run(job, missing, say=progress.say), start=1):
            known[measurement.id] = measurement
            file.write(json.dumps(asdict(measurement)) + "\n")
            file.flush()
            progress.show(done)
    chosen = [known[program.id] for program in programs]
    figures = {name: summary([each for each in chosen if each.set_name == name], args.executions) for name in args.sets}
    (args.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    for name in args.sets:
        _show(name, figures[name], [each for each in chosen if each.set_name == name], args)


@contextmanager
def _open_measure(bundle: Path, trial: dict[str, int]) -> Iterator[Callable[[FailingProgram], Iterator[Measurement]]]:
    engine = Engine.load(bundle, threads=1)

    def measure_one(program: FailingProgram) -> Iterator[Measurement]:
        yield asyncio.run(measure(program, engine, **trial))

    yield measure_one
