"""What language models are asked for, at an endpoint or in this process: programs for problems, and fixes of programs.

Answers about fixes are kept, and an endpoint that fails stops no build.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

from risk_lsp.edits.renaming import bound_names
from risk_lsp.lab.patches.labels import with_intent
from risk_lsp.lab.patches.sample_command import SamplingOptions, WantedProgram, WrittenProgram, is_code
from risk_lsp.lab.task_pool import Job, TaskPool
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.generation import Prompt, continuations, prompt_tokens
from risk_lsp.repair.endpoint import Completion, Endpoint, EndpointError, EndpointOptions
from risk_lsp.repair.model_questions import python_blocks
from risk_lsp.sandbox.verdicts import Problem
from risk_lsp.text.structure import parses

PROMPTS_VERSION = 1

COMPLETE_FUNCTION = (
    "Complete this Python program. Reply with the whole program, and nothing else, in one ```python block.\n\n"
    "```python\n{prompt}\n```\n"
)
WRITE_PROGRAM = (
    "Write a Python program. Reply with the program, and nothing else, in one ```python block.\n\n{prompt}\n"
)
WRITE_SCRIPT = (
    "Write a Python program that reads from standard input and writes to standard output. Reply with the program, and "
    "nothing else, in one ```python block.\n\n{prompt}\n"
)
MEND = (
    "This Python program does not do what was asked. Change as little as possible, keep comments, names and style as "
    "they are. Reply with the whole mended program, and nothing else, in one ```python block.\n\n"
    "What was asked:\n\n{asked}\n\nThe program:\n\n```python\n{program}\n```\n\n"
    "Its tests ended with:\n\n```\n{failure}\n```\n"
)


_LONGEST_FAILURE = 1500  # characters, the last ones
_FAILURES_IN_A_ROW = 3  # after so many the endpoint is left alone
_ANSWERS = "answers.jsonl"


@dataclass(frozen=True)
class FixOptions:
    """Which model is asked, how often for each program, and how. timeout: seconds without an answer."""

    model: str
    base_url: str | None
    answers: int = 1
    temperature: float = 0.2
    max_tokens: int = 2048
    timeout: float = 120.0
    retries: int = 2

    def endpoint(self) -> Endpoint:
        """The endpoint, with the key from OPENAI_API_KEY. EndpointError where there is neither a key nor an address."""
        key = os.environ.get("OPENAI_API_KEY")
        at = EndpointOptions(self.model, self.base_url, key, timeout=self.timeout, retries=self.retries)
        return Endpoint(at, max_tokens=self.max_tokens)

    def identity(self) -> dict[str, Any]:
        """What decides which fixes are found."""
        chosen = ("model", "answers", "temperature", "max_tokens")
        return {name: value for name, value in asdict(self).items() if name in chosen} | {"prompts": PROMPTS_VERSION}


class AskedFixes(NamedTuple):
    """The different programs that the model gave as fixes, and the answers and tokens that they took."""

    programs: tuple[str, ...]
    answers: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model: str = ""


class Fixer:
    """Asks one model, in one process. complain is told once why the model is asked no more."""

    def __init__(self, options: FixOptions, folder: Path, complain: Callable[[str], None]) -> None:
        self._options = options
        self._endpoint = options.endpoint()
        self._answers = AnswerStore(folder / _ANSWERS)
        self._complain = complain
        self._failures = 0

    def fixes(self, problem: Problem, program: str, failure: str) -> AskedFixes:
        """Fixes of a program whose tests ended with `failure`. An endpoint that fails gives none."""
        asked = (problem.text or problem.prompt).strip()
        prompt = MEND.format(asked=asked, program=program.rstrip("\n"), failure=failure[-_LONGEST_FAILURE:].strip())
        answers = [answer for number in range(self._options.answers) if (answer := self._answer(prompt, number))]
        programs = [max(blocks, key=len) for answer in answers if (blocks := python_blocks(answer.text))]
        return AskedFixes(
            tuple(dict.fromkeys(text for text in programs if text.strip())),
            len(answers),
            sum(answer.prompt_tokens or 0 for answer in answers),
            sum(answer.completion_tokens or 0 for answer in answers),
            self._options.model,
        )

    def _answer(self, prompt: str, number: int) -> Completion | None:
        options = self._options
        words = json.dumps([prompt, number, options.model, options.temperature, options.max_tokens])
        key = sha256(words.encode("utf-8", "surrogatepass")).hexdigest()
        if (known := self._answers.get(key)) is not None:
            return known
        if self._failures >= _FAILURES_IN_A_ROW:
            return None
        try:
            answer = self._endpoint.complete(prompt, options.temperature)
        except EndpointError as error:
            self._failures += 1
            if self._failures == _FAILURES_IN_A_ROW:
                self._complain(f"{options.model} is asked for no more fixes: {error}")
            return None
        self._failures = 0
        self._answers.put(key, answer)
        return answer


class AnswerStore:
    """Answers on disk, a line each, written whole: several processes may share the file."""

    def __init__(self, path: Path) -> None:
        self._known: dict[str, Completion] = {}
        self._path = path
        whole = True
        if path.exists():
            for line in path.read_bytes().splitlines(keepends=True):
                whole = line.endswith(b"\n")
                try:
                    key, text, prompt_tokens, completion_tokens = json.loads(line)
                except ValueError:
                    continue  # a line that was cut short
                self._known[key] = Completion(text, prompt_tokens, completion_tokens)
        if not whole:  # cut short when a run was killed
            self._append(b"\n")

    def get(self, key: str) -> Completion | None:
        """What was answered before, if anything."""
        return self._known.get(key)

    def put(self, key: str, answer: Completion) -> None:
        """Keep an answer; it survives the end of this process at once."""
        self._known[key] = answer
        self._append(json.dumps([key, *answer]).encode() + b"\n")

    def _append(self, line: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


class ChatWriter:
    """Asks an endpoint, `parallel` requests at a time."""

    def __init__(self, endpoint: Endpoint, options: SamplingOptions, parallel: int) -> None:
        self._endpoint = endpoint
        self._options = options
        self._parallel = parallel

    def write(self, wanted: Sequence[WantedProgram]) -> Iterator[tuple[WantedProgram, WrittenProgram]]:
        """The programs, as their answers come."""
        waiting = iter(wanted)
        with ThreadPoolExecutor(self._parallel) as threads:
            running: dict[Future[WrittenProgram], WantedProgram] = {}
            try:
                while True:
                    for item in islice(waiting, self._parallel - len(running)):
                        running[threads.submit(self._ask, item)] = item
                    if not running:
                        return
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        yield running.pop(future), future.result()
            finally:
                threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, wanted: WantedProgram) -> WrittenProgram:
        options = self._options
        answer = self._endpoint.complete(
            prompt_for(wanted.problem),
            options.temperature,
            top_p=options.top_p,
            stop=options.stop,
            seed=None if options.seed is None else wanted.seed,
        )
        program, given = program_of(answer.text, wanted.problem)
        return WrittenProgram(program, given, answer.prompt_tokens, answer.completion_tokens)


def prompt_for(problem: Problem) -> str:
    """What the model is asked."""
    if problem.test_kind == "stdio":
        return WRITE_SCRIPT.format(prompt=problem.prompt)
    if is_code(problem.prompt):
        return COMPLETE_FUNCTION.format(prompt=problem.prompt)
    start = f"{problem.prompt}\n\nStart from:\n\n{problem.starter}\n" if problem.starter.strip() else problem.prompt
    return WRITE_PROGRAM.format(prompt=start)


def program_of(text: str, problem: Problem) -> tuple[str, int]:
    """The program in an answer, and how many of its leading lines were given, not written by the model.

    It is the longest fenced block, or all of an answer without one. A block that only goes on with the prompt is put
    behind it.
    """
    program = max(python_blocks(text), key=len, default=text).strip("\n") + "\n"
    starts_inside = program[0] in " \t" or (problem.entry_point and problem.entry_point not in bound_names(program))
    if program.strip() and starts_inside and is_code(problem.prompt):
        prompt = problem.prompt if problem.prompt.endswith("\n") else problem.prompt + "\n"
        whole = prompt + program
        if parses(whole) or not parses(program):
            return whole, prompt.count("\n")
    return program, 0


# A function or class that was begun is over where a line starts at the margin; a closing bracket may stand there.
_BEHIND_A_BLOCK = re.compile(r"\n(?=[^\s)\]}])")
# A program is over where prose, tests or another answer begins.
_BEHIND_A_PROGRAM = re.compile(r"\n(?=\"\"\"|'''|```|assert\b|print\b)")
_BEHIND_A_SCRIPT = re.compile(r"\n(?=\"\"\"|'''|```)")

_LEAST_TOKENS = 16  # of a program whose reference is very short


class HostedWriter:
    """Lets one model write, about `together` programs at a time; `max_tokens` each.

    length: where a problem has a reference, a program gets so many times the tokens of what that adds to the prompt.
    """

    def __init__(
        self,
        model: CodeModel,
        options: SamplingOptions,
        *,
        max_tokens: int,
        together: int,
        length: float | None = None,
    ) -> None:
        self._model = model
        self._options = options
        # What is asked needs room too.
        self._max_tokens = min(max_tokens, model.context // 2)
        self._together = together
        self._length = length

    def write(self, wanted: Sequence[WantedProgram]) -> Iterator[tuple[WantedProgram, WrittenProgram]]:
        """The programs, problem by problem."""
        for batch in batches_of(wanted, self._together):
            yield from self.write_batch(batch)

    def write_batch(self, batch: Sequence[Sequence[WantedProgram]]) -> Iterator[tuple[WantedProgram, WrittenProgram]]:
        """The programs of some problems, in one run of the model."""
        tasks = [_task(group[0].problem) for group in batch]
        prompts = [self._prompt(task, group) for task, group in zip(tasks, batch, strict=True)]
        drawn = continuations(self._model, prompts, temperature=self._options.temperature, top_p=self._options.top_p)
        for group, task, prompt, texts in zip(batch, tasks, prompts, drawn, strict=True):
            for item, text in zip(group, texts, strict=True):
                program, given = task.program(text.text)
                yield item, WrittenProgram(program, given, len(prompt.token_ids), text.tokens)

    def _prompt(self, task: _Task, group: Sequence[WantedProgram]) -> Prompt:
        tokens = self._max_tokens
        reference = group[0].problem.reference
        if self._length is not None and reference:
            added = reference.removeprefix(task.start)
            tokens = min(tokens, _LEAST_TOKENS + int(self._length * len(self._model.encode(added).token_ids)))
        end = partial(_end, task.behind, self._options.stop)
        return Prompt(prompt_tokens(self._model, task.asked, tokens), [item.seed for item in group], tokens, end)


def batches_of(wanted: Sequence[WantedProgram], together: int) -> Iterator[list[list[WantedProgram]]]:
    """Groups of one problem each, about `together` programs at a time."""
    batch: list[list[WantedProgram]] = []
    for _, items in groupby(wanted, key=lambda item: item.problem.task_id):
        batch.append(list(items))
        if sum(map(len, batch)) >= together:
            yield batch
            batch = []
    if batch:
        yield batch


class SpreadWriter:
    """Lets a pool's processes write, each with a model of its own that `job` opens: the same batches as one of them.

    Programs come in the order in which they are wanted.
    """

    def __init__(
        self,
        pool: TaskPool,
        job: Job[list[list[WantedProgram]], WrittenProgram],
        together: int,
        say: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._job = job
        self._together = together
        self._say = say

    def write(self, wanted: Sequence[WantedProgram]) -> Iterator[tuple[WantedProgram, WrittenProgram]]:
        """The programs, problem by problem."""
        # Tests can be megabytes long, and no model reads them.
        bare = [WantedProgram(replace(item.problem, tests=""), item.seed) for item in wanted]
        written = self._pool.run(self._job, batches_of(bare, self._together), in_order=True, say=self._say)
        yield from zip(wanted, written, strict=True)


class _Task(NamedTuple):
    """asked: what the model continues. start: the end of that which belongs to the program."""

    asked: str
    start: str
    behind: re.Pattern[str]

    def program(self, written: str) -> tuple[str, int]:
        """The whole program, and how many of its lines were given; one that the model went on with is its own."""
        program = self.start + (written if self.start else written.lstrip("\n")).rstrip() + "\n"
        whole_lines = self.start.count("\n") + (bool(self.start) and written.startswith("\n"))
        return program, min(whole_lines, program.count("\n"))


def _task(problem: Problem) -> _Task:
    """How a problem is put to a model that continues texts."""
    begun = problem.prompt if is_code(problem.prompt) else problem.starter
    # Most tokenizers join a line break with the indentation behind it: the model has to write both.
    start = begun.rstrip()
    asked, _ = with_intent(start, (problem.text or problem.prompt).strip())
    if start:
        return _Task(asked, start, _BEHIND_A_BLOCK)
    return _Task(asked, start, _BEHIND_A_SCRIPT if problem.test_kind == "stdio" else _BEHIND_A_PROGRAM)


def _end(behind: re.Pattern[str], stop: Sequence[str], text: str) -> int | None:
    """Where a program is over, by the rule of its kind or one of the texts that end it."""
    found = behind.search(text)
    places = [text.find(each) for each in stop] + ([found.start()] if found else [])
    return min((place for place in places if place >= 0), default=None)
