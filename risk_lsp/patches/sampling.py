"""Programs of a model for problems: asked for, cut out of the answers, written as samples; resumable."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from risk_lsp.errors import BadInput
from risk_lsp.patches.problems import Problem
from risk_lsp.patches.renaming import bound_names, parses

_FENCED = re.compile(r"```[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_FUNCTION = (
    "Complete this Python program. Reply with the whole program, and nothing else, in one ```python block.\n\n"
    "```python\n{prompt}\n```\n"
)
_WORDS = "Write a Python program. Reply with the program, and nothing else, in one ```python block.\n\n{prompt}\n"
_STDIO = (
    "Write a Python program that reads from standard input and writes to standard output. Reply with the program, and "
    "nothing else, in one ```python block.\n\n{prompt}\n"
)


class Answer(Protocol):
    """What a model said, and the tokens that it read and wrote, where that is known."""

    @property
    def text(self) -> str: ...
    @property
    def prompt_tokens(self) -> int | None: ...
    @property
    def completion_tokens(self) -> int | None: ...


# Prompt and temperature to an answer; called from several threads.
Complete = Callable[[str, float], Answer]


@dataclass(frozen=True)
class SamplingOptions:
    """How many programs of which model for each problem, and how many requests at a time."""

    model: str
    per_problem: int
    temperature: float
    parallel: int = 4


class Tally(NamedTuple):
    """Programs written by one run, and the tokens that its requests took, as far as the endpoint said."""

    programs: int
    prompt_tokens: int
    completion_tokens: int


def sample(
    problems: Iterable[Problem],
    complete: Complete,
    options: SamplingOptions,
    out: Path,
    on_progress: Callable[[int, int], None],
) -> Tally:
    """Ask for what `out` lacks and append it there, one line per program, each as soon as it is there.

    on_progress(done, total) counts the programs of this run.
    """
    known = _known(out, options)
    missing = [problem for problem in problems for _ in range(options.per_problem - known[problem.task_id])]
    tally = Counter[str]()
    with out.open("a", encoding="utf-8") as file:
        for done, (problem, answer) in enumerate(_answers(missing, complete, options), start=1):
            record = sampled_record(problem, answer, options)
            file.write(json.dumps(record) + "\n")
            file.flush()
            tally["prompt"] += answer.prompt_tokens or 0
            tally["completion"] += answer.completion_tokens or 0
            on_progress(done, len(missing))
    return Tally(len(missing), tally["prompt"], tally["completion"])


def prompt_for(problem: Problem) -> str:
    """What the model is asked."""
    if problem.test_kind == "stdio":
        return _STDIO.format(prompt=problem.prompt)
    return (_FUNCTION if _is_code(problem.prompt) else _WORDS).format(prompt=problem.prompt)


def program_of(text: str, problem: Problem) -> tuple[str, int]:
    """The program in an answer, and how many of its leading lines were given, not written by the model.

    It is the longest fenced block, or all of an answer without one. A block that only goes on with the prompt is put
    behind it.
    """
    blocks = [block for language, block in _FENCED.findall(text) if language.lower() in ("", "py", "python", "python3")]
    program = max(blocks, key=len, default=text).strip("\n") + "\n"
    starts_inside = program[0] in " \t" or (problem.entry_point and problem.entry_point not in bound_names(program))
    if program.strip() and starts_inside and _is_code(problem.prompt):
        prompt = problem.prompt if problem.prompt.endswith("\n") else problem.prompt + "\n"
        whole = prompt + program
        if parses(whole) or not parses(program):
            return whole, prompt.count("\n")
    return program, 0


def sampled_record(problem: Problem, answer: Answer, options: SamplingOptions) -> dict[str, Any]:
    """An answer as a sample that nobody has run yet."""
    program, given = program_of(answer.text, problem)
    return {
        "task_id": problem.task_id,
        "benchmark": problem.benchmark,
        "group": problem.group,
        "model": options.model,
        "temperature": options.temperature,
        "program": program,
        "prompt_lines": given,
        "form": "completion" if given else "script" if problem.test_kind == "stdio" else "full",
        "passed": None,
        "verified": None,
        "origin": f"sampled:{options.model}",
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
    }


def _answers(problems: list[Problem], complete: Complete, options: SamplingOptions) -> Iterator[tuple[Problem, Answer]]:
    waiting = iter(problems)
    with ThreadPoolExecutor(options.parallel) as threads:
        running: dict[Future[Answer], Problem] = {}
        try:
            while True:
                for problem in islice(waiting, options.parallel - len(running)):
                    running[threads.submit(complete, prompt_for(problem), options.temperature)] = problem
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _known(out: Path, options: SamplingOptions) -> Counter[str]:
    """How many programs of this model and temperature `out` holds by problem. A last line cut short is removed."""
    known: Counter[str] = Counter()
    if not out.exists():
        return known
    data = out.read_bytes()
    whole = data.rfind(b"\n") + 1
    for number, line in enumerate(data[:whole].splitlines(), start=1):
        try:
            record = json.loads(line)
            if (record["model"], record["temperature"]) == (options.model, options.temperature):
                known[record["task_id"]] += 1
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{out}:{number}: is not a sample ({error!r})", "name another file") from error
    if whole < len(data):
        with out.open("r+b") as file:
            file.truncate(whole)
    return known


def _is_code(prompt: str) -> bool:
    """Whether a prompt is the beginning of a program rather than words."""
    return parses(prompt) or parses(f"{prompt.rstrip()}\n    pass\n")
