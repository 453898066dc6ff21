"""How well models repair the same failing programs: pass@k of new programs, of repairs, and of explained repairs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from risk_lsp.errors import BadInput
from risk_lsp.lab.debugger.debugging_data import Examiner, Mistake
from risk_lsp.lab.debugger.dialogue import ChatFormat, LocalRespondent, kind_of, repair_question, situation_of
from risk_lsp.lab.evaluation.pass_rates import pass_at_k
from risk_lsp.lab.evaluation.problem_bootstrap import band
from risk_lsp.lab.json_lines import read_appended
from risk_lsp.lab.patches.program_writers import HostedWriter
from risk_lsp.lab.patches.sample_command import SamplingOptions, WantedProgram, sample_record
from risk_lsp.model.code_model import CodeModel
from risk_lsp.repair.chat import risky_lines
from risk_lsp.repair.model_questions import RiskyLine, joint_prompt, program_in, repair_prompt
from risk_lsp.report.wording import shown_progress
from risk_lsp.risk.engine import Engine

# initial: a new program, without a look at the failing one. guided: the riskiest lines stand in the question.
WAYS = ("initial", "direct", "explained", "direct, guided", "explained, guided")
_RESAMPLES = 2000


@dataclass(frozen=True)
class EvaluationOptions:
    """answers: to every question: pass@k is known up to this k. together: answers that are written at a time."""

    answers: int = 10
    temperature: float = 0.8
    max_tokens: int = 320
    together: int = 20
    seed: int = 0
    device: str = "auto"
    threads: int | None = None


class ContestantResult(NamedTuple):
    """What one model gave for one problem in one way: programs, those that pass, and tokens read and written."""

    contestant: str
    way: str
    task_id: str
    group: str
    answers: int
    passing: int
    tokens: int


def first_mistakes(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """One failing program of each problem, the first; none of a problem that does not say what is asked."""
    found: dict[str, Mistake] = {}
    for mistake in mistakes:
        problem = mistake.problem
        if any(words.strip() for words in (problem.prompt, problem.text, problem.starter)):
            found.setdefault(problem.group, mistake)
    return list(found.values())


def measure_contestants(
    contestants: Mapping[str, Path],
    mistakes: Sequence[Mistake],
    engine: Engine | None,
    options: EvaluationOptions,
    out: Path,
    messages: TextIO,
) -> list[ContestantResult]:
    """Ask every model what `out` lacks, in every way, and append it there; without an engine no way is guided."""
    known = {(each.contestant, each.way, each.task_id): each for each in _read_outcomes(out)}
    ways = [way for way in WAYS if engine is not None or not way.endswith("guided")]
    missing = [
        (name, way, mistake)
        for name in contestants
        for way in ways
        for mistake in mistakes
        if (name, way, mistake.problem.task_id) not in known
    ]
    at_once = max(1, options.together // options.answers)
    with Examiner() as examiner, shown_progress(messages, "questions", len(missing)) as progress:
        done = 0
        for name, path in contestants.items():
            own = [(way, mistake) for contestant, way, mistake in missing if contestant == name]
            if not own:
                continue
            contestant = _Contestant(name, path, engine, examiner, options)
            for way in ways:
                asked = [mistake for own_way, mistake in own if own_way == way]
                for first in range(0, len(asked), at_once):
                    with out.open("a", encoding="utf-8") as file:
                        for outcome in contestant.outcomes(way, asked[first : first + at_once]):
                            known[name, way, outcome.task_id] = outcome
                            file.write(json.dumps(outcome._asdict()) + "\n")
                            done += 1
                    progress.show(done)
    wanted = [(name, way, mistake.problem.task_id) for name in contestants for way in ways for mistake in mistakes]
    return [known[key] for key in wanted]


def _read_outcomes(path: Path) -> list[ContestantResult]:
    found = []
    for where, record in read_appended(path):
        try:
            found.append(ContestantResult(**record))
        except TypeError as error:
            raise BadInput(f"{where}: is no outcome ({error})", "name another folder") from error
    return found


class _Contestant:
    """One loaded model, asked in all ways."""

    def __init__(
        self, name: str, path: Path, engine: Engine | None, examiner: Examiner, options: EvaluationOptions
    ) -> None:
        self._name = name
        self._engine = engine
        self._examiner = examiner
        self._options = options
        model = CodeModel.load(path, device=options.device, threads=options.threads)
        self._sampling = SamplingOptions(name, options.answers, options.temperature, seed=options.seed)
        self._writer = HostedWriter(model, self._sampling, max_tokens=options.max_tokens, together=options.together)
        self._respondent = LocalRespondent(
            model,
            ChatFormat.of(path),
            temperature=options.temperature,
            max_tokens=options.max_tokens,
            together=options.together,
        )

    def outcomes(self, way: str, mistakes: Sequence[Mistake]) -> list[ContestantResult]:
        """What comes of these failing programs, or of their problems."""
        drawn = self._write_programs(mistakes) if way == "initial" else self._repair_programs(way, mistakes)
        return [
            ContestantResult(
                self._name,
                way,
                mistake.problem.task_id,
                mistake.problem.group,
                len(programs),
                sum(
                    program is not None and self._examiner.examine(mistake.problem, program).passed
                    for program in programs
                ),
                tokens,
            )
            for mistake, (programs, tokens) in zip(mistakes, drawn, strict=True)
        ]

    def _write_programs(self, mistakes: Sequence[Mistake]) -> list[tuple[list[str | None], int]]:
        programs: dict[str, list[str | None]] = {mistake.problem.task_id: [] for mistake in mistakes}
        tokens = dict.fromkeys(programs, 0)
        wanted = [WantedProgram(mistake.problem, seed) for mistake in mistakes for seed in self._seeds(mistake)]
        for item, written in self._writer.write(wanted):
            record = sample_record(item.problem, written, self._sampling)
            programs[item.problem.task_id].append(record["program"])
            tokens[item.problem.task_id] += (written.prompt_tokens or 0) + (written.completion_tokens or 0)
        return [(programs[name], tokens[name]) for name in programs]

    def _repair_programs(self, way: str, mistakes: Sequence[Mistake]) -> list[tuple[list[str | None], int]]:
        prompt = joint_prompt if way.startswith("explained") else repair_prompt
        questions = []
        for mistake in mistakes:
            risky: tuple[RiskyLine, ...] = ()
            if way.endswith("guided") and self._engine is not None:
                risky = risky_lines(self._engine.score(mistake.program), mistake.program, "python")
            situation = situation_of(mistake.problem, mistake.program, mistake.failure, risky=risky)
            questions.append(repair_question(prompt(situation), self._seeds(mistake), kind_of(mistake.problem)))
        return [
            (
                [program_in(reply.text, mistake.program) for reply in replies],
                sum((reply.prompt_tokens or 0) + (reply.completion_tokens or 0) for reply in replies),
            )
            for mistake, replies in zip(mistakes, self._respondent.answers(questions), strict=True)
        ]

    def _seeds(self, mistake: Mistake) -> list[int]:
        """The same for every model and way, so that they differ by nothing else."""
        names = [f"{self._options.seed}:{mistake.problem.task_id}:{n}" for n in range(self._options.answers)]
        return [int.from_bytes(sha256(name.encode()).digest()[:4], "big") >> 1 for name in names]


def figures_of(outcomes: Sequence[ContestantResult], first: str) -> dict[str, Any]:
    """pass@1 and pass@10 (or of all answers, where there are fewer) by model and way, each [rate, low, high].

    Intervals (95%) resample problems. `gain`: the difference from the model called `first`, by problem. `anew`: in a
    repair's row, pass@k of as many new programs as one repair's tokens pay for, at least one.
    """
    rows: dict[str, Any] = {}
    by_row: dict[tuple[str, str], list[ContestantResult]] = {}
    for outcome in outcomes:
        by_row.setdefault((outcome.contestant, outcome.way), []).append(outcome)
    for (contestant, way), own in by_row.items():
        most = min(10, min(outcome.answers for outcome in own))
        row: dict[str, Any] = {"problems": len(own), "tokens": round(_tokens(own), 1)}
        for k in dict.fromkeys((1, most)):
            rates = _rates(own, k)
            row[f"pass@{k}"] = _interval(rates)
            if contestant != first:
                row[f"gain@{k}"] = _interval(rates - _rates(by_row[first, way], k))
        if way != "initial":
            anew = by_row[contestant, "initial"]
            k = max(1, min(most, round(_tokens(own) / _tokens(anew))))
            row["anew"] = [k, *_interval(_rates(anew, k))]
        rows[f"{contestant}: {way}"] = row
    return rows


def _rates(outcomes: Sequence[ContestantResult], k: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return pass_at_k([outcome.answers for outcome in outcomes], [outcome.passing for outcome in outcomes], k)


def _tokens(outcomes: Sequence[ContestantResult]) -> float:
    """The mean number of tokens of an answer."""
    return sum(outcome.tokens for outcome in outcomes) / sum(outcome.answers for outcome in outcomes)


def _interval(rates: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
    low, high = band(rates, _RESAMPLES, np.random.default_rng(0))
    return [round(float(value), 4) for value in (rates.mean(), low, high)]


def table_of(figures: Mapping[str, Any]) -> str:
    """The figures as a table in Markdown, percentages with their intervals."""
    columns = list(dict.fromkeys(name for row in figures.values() for name in row if "@" in name))
    lines = [("model: way", "problems", *columns, "tokens", "new programs for the same tokens")]
    lines.append(("---",) * len(lines[0]))
    for name, row in figures.items():
        anew = f"pass@{row['anew'][0]} {_format_rate(row['anew'][1:])}" if "anew" in row else ""
        cells = (_format_rate(row[column]) if column in row else "" for column in columns)
        lines.append((name, str(row["problems"]), *cells, f"{row['tokens']:.0f}", anew))
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _format_rate(interval: Sequence[float]) -> str:
    rate, low, high = (100 * value for value in interval)
    return f"{rate:.1f} ({low:.1f} to {high:.1f})"
