"""Samples of a model's programs: the model writes what a file lacks, and each program is appended to it at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO

from risk_lsp.errors import BadInput
from risk_lsp.lab.json_lines import read_appended
from risk_lsp.report.progress import shown_progress
from risk_lsp.sandbox.verdicts import Problem
from risk_lsp.text.structure import parses


@dataclass(frozen=True)
class SamplingOptions:
    """How many programs of which model for each problem, and how it draws them.

    stop: texts in front of which an answer ends. seed: None where nobody asked for the same programs again.
    """

    model: str
    per_problem: int
    temperature: float
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None


class Wanted(NamedTuple):
    """A program that is missing, and the seed that makes it differ from the others of its problem."""

    problem: Problem
    seed: int


class Written(NamedTuple):
    """A program, how many of its first lines were given to the model, and the tokens it took, where that is known."""

    program: str
    prompt_lines: int
    prompt_tokens: int | None
    completion_tokens: int | None


class Writer(Protocol):
    """What writes programs."""

    def written(self, wanted: Sequence[Wanted]) -> Iterator[tuple[Wanted, Written]]:
        """The programs, in any order, each as soon as it is there."""
        ...


class Tally(NamedTuple):
    """Programs written by one run, and the tokens that they took, as far as is known."""

    programs: int
    prompt_tokens: int
    completion_tokens: int


def sample(
    problems: Iterable[Problem],
    writer: Writer,
    options: SamplingOptions,
    out: Path,
    messages: TextIO,
) -> Tally:
    """Write what `out` lacks and append it there, one line per program, each as soon as it is there.

    The progress of this run goes to `messages`.
    """
    known = _known(out, options)
    missing = [
        Wanted(problem, _seed(options, problem, index))
        for problem in problems
        for index in range(known[problem.task_id], options.per_problem)
    ]
    tally = Counter[str]()
    out.parent.mkdir(parents=True, exist_ok=True)
    with shown_progress(messages, "programs", len(missing)) as progress, out.open("a", encoding="utf-8") as file:
        for done, (wanted, written) in enumerate(writer.written(missing), start=1):
            file.write(json.dumps(_record(wanted.problem, written, options)) + "\n")
            file.flush()
            tally["prompt"] += written.prompt_tokens or 0
            tally["completion"] += written.completion_tokens or 0
            progress.show(done)
    return Tally(len(missing), tally["prompt"], tally["completion"])


def is_code(prompt: str) -> bool:
    """Whether a prompt is the beginning of a program rather than words."""
    return parses(prompt) or parses(f"{prompt.rstrip()}\n    pass\n")


def _record(problem: Problem, written: Written, options: SamplingOptions) -> dict[str, Any]:
    """A program as a sample that nobody has run yet, behind the lines that stand in front of every program."""
    prelude = "" if written.program.startswith(problem.prelude) else problem.prelude.rstrip("\n") + "\n"
    given = written.prompt_lines
    return {
        "task_id": problem.task_id,
        "benchmark": problem.benchmark,
        "group": problem.group,
        "model": options.model,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "program": prelude + written.program,
        # Labels leave out all that was given where there is a prelude, so no more than that counts as given.
        "prompt_lines": prelude.count("\n") if prelude else given,
        "form": "completion" if given else "script" if problem.test_kind == "stdio" else "full",
        "passed": None,
        "verified": None,
        "origin": f"sampled:{options.model}",
        "prompt_tokens": written.prompt_tokens,
        "completion_tokens": written.completion_tokens,
    }


def _seed(options: SamplingOptions, problem: Problem, index: int) -> int:
    """The seed of a problem's program number `index`, 31 bits: a run that goes on finds the same one."""
    digest = sha256(f"{options.seed or 0}:{problem.task_id}:{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _known(out: Path, options: SamplingOptions) -> Counter[str]:
    """How many programs `out` holds by problem, of this model and drawn so. A last line cut short is removed."""
    known: Counter[str] = Counter()
    drawn = (options.model, options.temperature, options.top_p)
    for where, record in read_appended(out):
        try:
            if (record["model"], record["temperature"], record.get("top_p", 1.0)) == drawn:
                known[record["task_id"]] += 1
        except KeyError as error:
            raise BadInput(f"{where}: is not a sample ({error!r})", "name another file") from error
    return known
