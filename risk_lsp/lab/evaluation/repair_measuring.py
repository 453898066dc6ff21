"""How many runs it takes to repair failing programs when the same candidates are tried in several orders."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.edits.candidates import Candidate, candidates, cuts_code_off
from risk_lsp.errors import BadInput
from risk_lsp.lab.json_lines import read_objects
from risk_lsp.lab.patches.programs import Sample, end_of_given, problems_by_id, read_samples
from risk_lsp.lab.training.documents import Split, split_of
from risk_lsp.model.infilling import preferences
from risk_lsp.repair.embedded import HAZARD_FEATURES, RankingWeights, fitted_weights, masses
from risk_lsp.repair.execution import Execution, ProblemTests
from risk_lsp.repair.watching import Evidence
from risk_lsp.repair.workbench import changed_lines
from risk_lsp.risk.engine import Engine
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
    found = _injected(folder, problems) if set_name == "humanevalfix" else _natural(folder, problems, seed)
    kept = [program for program in found if split is None or split_of(program.problem.group) == split]
    if not kept:
        raise BadInput(f"{folder} holds no failing programs for {set_name}", _HINT)
    random.Random(seed).shuffle(kept)
    return kept[:count]


def _injected(folder: Path, problems: dict[str, Problem]) -> list[FailingProgram]:
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
        "without the probe": by(weights.without_hazards()),
        "probe alone": by(_PROBE_ALONE),
    }


# Nothing but the hazard of the tokens that an edit touches.
_PROBE_ALONE = RankingWeights(dict.fromkeys(HAZARD_FEATURES[:1], 1.0), {}, 0.0)
