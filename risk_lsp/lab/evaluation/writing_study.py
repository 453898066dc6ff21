"""Does it help to pick what a model writes by its risk? Texts for one problem after the other, run with its tests.

The texts are what "Write the body" offers: the body of a function that a problem begins, with the numbers that a person
sees. Only problems of the test split are used, from which the probe has not learned.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from risk_lsp.errors import BadInput
from risk_lsp.lab.evaluation.metrics import FloatArray, ProgramValues, program_aucs
from risk_lsp.lab.evaluation.problem_bootstrap import ProblemBootstrap, interval_figures
from risk_lsp.lab.evaluation.report_markdown import interval_text, markdown_table
from risk_lsp.lab.json_lines import read_appended
from risk_lsp.lab.patches.labels import with_intent
from risk_lsp.lab.patches.programs import problems_by_id
from risk_lsp.lab.patches.sample_command import is_code
from risk_lsp.lab.task_pool import RayCluster, TaskPool, ThisProcess
from risk_lsp.lab.training.training_documents import split_of
from risk_lsp.probe.manifest import bundle_path, read_manifest
from risk_lsp.report.wording import shown_progress
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.span_risk import WritingTask
from risk_lsp.risk.writer import Writer
from risk_lsp.sandbox.sandbox import Sandbox
from risk_lsp.sandbox.verdicts import TEST_LIMITS, Problem, judge
from risk_lsp.text.document import Span
from risk_lsp.text.extents import body_place


@dataclass(frozen=True)
class DrawnText:
    """A text for a problem with its numbers: the probability that it has to be edited, and the mean log-probability of
    its tokens, in nats. One of nothing but blanks is empty."""

    text: str
    probability: float
    log_probability: float
    tokens: int


_NOTHING = DrawnText("", 1.0, 0.0, 0)
_WANTED = 3.0  # points of pass rate that picking should be worth


@dataclass(frozen=True)
class DrawnProblem:
    """What was written for a problem: the likeliest text word by word, and the texts that were drawn."""

    task_id: str
    options: dict[str, Any]
    likeliest: DrawnText
    drawn: list[DrawnText]
    seconds: float

    @property
    def texts(self) -> list[DrawnText]:
        """All of them, the likeliest one first."""
        return [self.likeliest, *self.drawn]


class Begun(NamedTuple):
    """A problem, the document that it begins, and where in that the body of its function is to be written."""

    problem: Problem
    document: str
    place: Span

    def program(self, text: str) -> str:
        """The program with a text, behind the lines that stand in front of every program."""
        whole = self.document[: self.place.start] + text + self.document[self.place.end :]
        return f"{self.problem.prelude}\n{whole}\n"


def begun_problems(folder: Path, benchmarks: Collection[str], seed: int) -> list[Begun]:
    """The problems of the test split that begin a function, one of each group, in an order that is drawn by `seed`.

    Of several problems of a group the one with the longest tests counts. `benchmarks`: only those of these, if any are
    named. BadInput if the folder holds none.
    """
    files = sorted(folder.glob("problems_*.jsonl*")) if folder.is_dir() else []
    if not files:
        raise BadInput(f"{folder} holds no problems_*.jsonl files", "name the folder with the problems with --data")
    chosen: dict[str, Begun] = {}
    for problem in problems_by_id(files).values():
        wanted = not benchmarks or problem.benchmark in benchmarks
        if not wanted or split_of(problem.group) != "test" or problem.test_kind != "append" or not problem.trusted:
            continue
        start = (problem.prompt if is_code(problem.prompt) else problem.starter).rstrip()
        document, _ = with_intent(start, (problem.text or problem.prompt).strip())
        known = chosen.get(problem.group)
        if known is not None and len(known.problem.tests) >= len(problem.tests):
            continue
        place = body_place(document, len(document) - 1) if start else None
        if place is not None:
            chosen[problem.group] = Begun(problem, document, place)
    if not chosen:
        raise BadInput(f"no problem of {folder} belongs to the test split and begins a function", "give more problems")
    return sorted(chosen.values(), key=lambda begun: sha256(f"{seed}:{begun.problem.task_id}".encode()).digest())


def draw(
    begun: Sequence[Begun], load: Callable[[], Engine], options: Mapping[str, Any], store: Path, pool: TaskPool
) -> list[DrawnProblem]:
    """What is written for the problems, in their order; what `store` lacks is appended there as soon as it is written.

    `load` is called in each process that writes.
    """
    known = {found.task_id: found for found in _read_drawn(store) if found.options == options}
    missing = [each for each in begun if each.problem.task_id not in known]
    if missing:
        job = partial(_open_writer, load, options)
        with (
            shown_progress(sys.stderr, "problems written", len(missing)) as progress,
            store.open("a", encoding="utf-8") as file,
        ):
            for done, found in enumerate(pool.run(job, missing, in_order=True, say=progress.say), start=1):
                known[found.task_id] = found
                file.write(json.dumps(asdict(found)) + "\n")
                file.flush()
                progress.show(done)
    return [known[each.problem.task_id] for each in begun]


def _read_drawn(store: Path) -> Iterator[DrawnProblem]:
    for where, record in read_appended(store):
        try:
            texts = {"likeliest": DrawnText(**record["likeliest"]), "drawn": [DrawnText(**e) for e in record["drawn"]]}
            yield DrawnProblem(**{**record, **texts})
        except (KeyError, TypeError) as error:
            raise BadInput(
                f"{where}: is nothing that was written for a problem ({error})", "name another folder"
            ) from None


@contextmanager
def _open_writer(
    load: Callable[[], Engine], options: Mapping[str, Any]
) -> Iterator[Callable[[Begun], Iterator[DrawnProblem]]]:
    engine = load()
    # A writer of its own for each problem: one that remembers an earlier problem has other rounding errors.
    yield lambda begun: iter([_draw_problem(Writer(engine), begun, options)])


def _draw_problem(writer: Writer, begun: Begun, options: Mapping[str, Any]) -> DrawnProblem:
    started = time.monotonic()
    task_id = begun.problem.task_id
    task = WritingTask(
        begun.document,
        *begun.place,
        "function",
        count=1 + options["samples"],
        max_tokens=options["max_tokens"],
        temperature=options["temperature"],
        seed=int.from_bytes(sha256(f"{options['seed']}:{task_id}".encode()).digest()[:4], "big"),
    )
    texts = [
        _NOTHING if text is None else DrawnText(text.text, text.probability, text.log_probability, text.tokens)
        for text in writer.draw(task) or [None] * task.count
    ]
    return DrawnProblem(task_id, dict(options), texts[0], texts[1:], round(time.monotonic() - started, 1))


def judge_texts(begun: Sequence[Begun], found: Sequence[DrawnProblem], store: Path, pool: TaskPool) -> list[list[bool]]:
    """Whether each text of each problem passes the tests, the likeliest one first.

    Programs run in the sandbox, each once; verdicts are appended to `store`. SandboxError where nothing can be run.
    """
    known = {str(record["program"]): bool(record["passed"]) for _, record in read_appended(store)}
    programs = [
        {text.text: each.program(text.text) for text in drawn.texts} for each, drawn in zip(begun, found, strict=True)
    ]
    missing = {
        _key(each.problem, program): (each.problem, program)
        for each, by_text in zip(begun, programs, strict=True)
        for program in by_text.values()
        if _key(each.problem, program) not in known
    }
    with (
        shown_progress(sys.stderr, "programs run", len(missing)) as progress,
        store.open("a", encoding="utf-8") as file,
    ):
        judged = pool.run(_open_judge, missing.values(), in_order=True, say=progress.say)
        for done, record in enumerate(judged, start=1):
            known[record["program"]] = record["passed"]
            file.write(json.dumps(record) + "\n")
            file.flush()
            progress.show(done)
    return [
        [known[_key(each.problem, by_text[text.text])] for text in drawn.texts]
        for each, by_text, drawn in zip(begun, programs, found, strict=True)
    ]


@contextmanager
def _open_judge() -> Iterator[Callable[[tuple[Problem, str]], Iterator[dict[str, Any]]]]:
    with Sandbox(TEST_LIMITS) as sandbox:

        def judge_one(task: tuple[Problem, str]) -> Iterator[dict[str, Any]]:
            problem, verdict = task[0], judge(sandbox, *task)
            told = {"passed": verdict.passed, "error": verdict.error}
            yield {"task_id": problem.task_id, "program": _key(*task), **told}

        yield judge_one


def _key(problem: Problem, program: str) -> str:
    return sha256(f"{problem.tests}\0{program}".encode("utf-8", "surrogatepass")).hexdigest()


RANDOM, LOWEST_RISK, _LIKELIEST = "one at random", "the lowest risk", "the likeliest, word by word"
# Of the drawn texts, the one that this is the largest for.
_SCORES: dict[str, Callable[[DrawnText], float]] = {
    LOWEST_RISK: lambda text: -text.probability,
    "the highest mean log-probability": lambda text: text.log_probability,
    "the fewest tokens": lambda text: -text.tokens,
}


def figures_of(found: Sequence[DrawnProblem], passed: Sequence[Sequence[bool]], resamples: int) -> dict[str, Any]:
    """Pass rates by what picks, and how good the numbers are, each as [estimate, low, high] (95%, over problems).

    `tokens`: the mean length of the texts that were picked.
    """
    rates: dict[str, FloatArray] = {
        "the first": np.array([verdicts[1] for verdicts in passed], float),
        RANDOM: np.array([np.mean(verdicts[1:]) for verdicts in passed], float),
    }
    tokens = {
        "the first": _mean_tokens(problem.drawn[:1] for problem in found),
        RANDOM: _mean_tokens(problem.drawn for problem in found),
        _LIKELIEST: _mean_tokens([problem.likeliest] for problem in found),
    }
    for name, score in _SCORES.items():
        picks = [_pick(problem.drawn, score) for problem in found]
        rates[name] = np.array([verdicts[1 + pick] for verdicts, pick in zip(passed, picks, strict=True)], float)
        tokens[name] = _mean_tokens([problem.drawn[pick]] for problem, pick in zip(found, picks, strict=True))
    rates["any of them that passes"] = np.array([any(verdicts[1:]) for verdicts in passed], float)
    rates[_LIKELIEST] = np.array([verdicts[0] for verdicts in passed], float)
    names = np.array([problem.task_id for problem in found], np.str_)
    problems = ProblemBootstrap(names, np.ones(len(names)), resamples=resamples)

    def mean(values: FloatArray) -> list[float | None]:
        return interval_figures(problems.mean_over_programs(ProgramValues(values, np.ones(len(values))), names))

    texts = [
        (problem.task_id, text, not verdict)
        for problem, verdicts in zip(found, passed, strict=True)
        for text, verdict in zip(problem.drawn, verdicts[1:], strict=True)
        if text.text
    ]
    return {
        "options": found[0].options,
        "problems": len(found),
        "texts": len(texts),
        "mixed": sum(any(verdicts[1:]) and not all(verdicts[1:]) for verdicts in passed),
        "pass_rates": {
            name: {"rate": mean(rate), "over_random": mean(rate - rates[RANDOM]), "tokens": tokens.get(name)}
            for name, rate in rates.items()
        },
        "numbers": _accuracy(texts, resamples),
    }


def _mean_tokens(texts: Iterable[Sequence[DrawnText]]) -> float:
    """The mean over problems of the mean length of the texts of each."""
    return float(np.mean([np.mean([text.tokens for text in each]) for each in texts]))


def _pick(texts: Sequence[DrawnText], score: Callable[[DrawnText], float]) -> int:
    written = [place for place, text in enumerate(texts) if text.text] or [0]
    return max(written, key=lambda place: score(texts[place]))


def _accuracy(texts: Sequence[tuple[str, DrawnText, bool]], resamples: int) -> dict[str, Any]:
    """Whether the numbers of all texts say which of them fail, and how often."""
    groups = np.array([task_id for task_id, _, _ in texts], np.str_)
    fails = np.array([failed for _, _, failed in texts], float)
    bootstrap = ProblemBootstrap(groups, np.ones(len(texts)), resamples=resamples)
    risks = np.array([text.probability for _, text, _ in texts])
    orders = {}
    for name, score in _SCORES.items():
        scores = np.array([-score(text) for _, text, _ in texts])
        within = bootstrap.mean_over_programs(program_aucs(scores, fails, groups), np.unique(groups))
        orders[name] = {"auc": interval_figures(bootstrap.auc(scores, fails)), "within": interval_figures(within)}
    return {
        "failing": float(fails.mean()),
        "mean_risk": float(risks.mean()),
        "bss": interval_figures(bootstrap.brier_skill_score(risks, fails)),
        "ece": interval_figures(bootstrap.expected_calibration_error(risks, fails)),
        "orders": orders,
    }


def study_markdown(figures: Mapping[str, Any]) -> str:
    """The figures as a page, with the sentence that follows from them."""
    options, numbers, rates = figures["options"], figures["numbers"], figures["pass_rates"]
    counts = ", ".join(f"{name} {count}" for name, count in figures["benchmarks"].items())
    picks = [
        [
            name,
            interval_text(rate["rate"]),
            "" if name == RANDOM else interval_text(rate["over_random"]),
            "" if rate["tokens"] is None else f"{rate['tokens']:.0f}",
        ]
        for name, rate in rates.items()
    ]
    orders = [
        [name, interval_text(each["auc"]), interval_text(each["within"])] for name, each in numbers["orders"].items()
    ]
    return f"""# Does picking by risk help?

Made by `risk-lsp evaluate writing`: the model of bundle `{options["bundle"]}` writes the body of a function for
{figures["problems"]} problems of the test split ({counts}), {options["samples"]} texts each at temperature
{options["temperature"]}, {options["max_tokens"]} tokens at most, seed {options["seed"]}; the tests run in the sandbox.
In {figures["mixed"]} of the problems some texts pass and some fail: elsewhere picking decides nothing. Brackets hold
95% intervals by bootstrap over problems.

{_verdict(rates[LOWEST_RISK]["over_random"])}

{markdown_table(["picked", "pass rate", "above one at random", "tokens"], picks)}

## The numbers of the texts

Of {figures["texts"]:,} texts {numbers["failing"]:.0%} fail; the mean probability that they have to be edited is
{numbers["mean_risk"]:.0%}. As a probability of failing it has a Brier skill of {interval_text(numbers["bss"])} and a
calibration error of {interval_text(numbers["ece"])}. How well failing texts come before passing ones, of all problems
and of the same problem:

{markdown_table(["order by", "AUC", "AUC within problems"], orders)}
"""


def _verdict(over_random: Sequence[float | None]) -> str:
    estimate, low, high = (float("nan") if value is None else 100 * value for value in over_random)
    words = f"by {estimate:.1f} points of pass rate [{low:.1f}, {high:.1f}]"
    if low > 0:
        return f"The text with the lowest risk beats one at random {words}."
    told = f"The text with the lowest risk does not surely beat one at random: it differs {words}."
    is_wide = high - low > 2 * _WANTED
    return f"{told} So few problems cannot tell a difference of {_WANTED:.0f} points." if is_wide else told


def study(args: argparse.Namespace) -> None:
    """Write, run and measure what `risk-lsp evaluate writing` names."""
    bundle = bundle_path(args.bundle)
    manifest = read_manifest(bundle)
    options = {
        "bundle": manifest.name,
        "probe": manifest.probe_hash,
        "samples": args.samples,
        "temperature": args.temperature,
        "max_tokens": args.max_tokens,
        "seed": args.seed,
    }
    begun = begun_problems(args.data, args.benchmarks, args.seed)[: args.problems]
    with Sandbox() as sandbox:
        sandbox.run("pass")  # says at once if programs cannot be run here
    args.out.mkdir(parents=True, exist_ok=True)
    threads = args.threads if args.ray is None else args.threads or 1
    load = partial(Engine.load, bundle.absolute(), threads=threads, whole_model=True)
    pool = ThisProcess() if args.ray is None else RayCluster(args.ray, cpus=threads or 1)
    found = draw(begun, load, options, args.out / "texts.jsonl", pool)
    passed = judge_texts(begun, found, args.out / "verdicts.jsonl", pool)
    benchmarks = Counter(each.problem.benchmark for each in begun)
    figures = {"benchmarks": dict(benchmarks.most_common()), **figures_of(found, passed, args.resamples)}
    (args.out / "writing-study.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    (args.out / "writing-study.md").write_text(study_markdown(figures), encoding="utf-8")
