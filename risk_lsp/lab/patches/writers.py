"""Programs written for problems by a model at an endpoint, or by one that this process runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import groupby, islice
from typing import NamedTuple

from risk_lsp.edits.renaming import bound_names
from risk_lsp.lab.patches.asked_fixes import COMPLETE_FUNCTION, WRITE_PROGRAM, WRITE_SCRIPT
from risk_lsp.lab.patches.labels import with_intent
from risk_lsp.lab.patches.sample_command import SamplingOptions, Wanted, Written, is_code
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.generation import Prompt, continuations, prompt_tokens
from risk_lsp.repair.endpoint import Endpoint
from risk_lsp.repair.model_questions import python_blocks
from risk_lsp.sandbox.verdicts import Problem
from risk_lsp.text.structure import parses


class ChatWriter:
    """Asks an endpoint, `parallel` requests at a time."""

    def __init__(self, endpoint: Endpoint, options: SamplingOptions, parallel: int) -> None:
        self._endpoint = endpoint
        self._options = options
        self._parallel = parallel

    def written(self, wanted: Sequence[Wanted]) -> Iterator[tuple[Wanted, Written]]:
        """The programs, as their answers come."""
        waiting = iter(wanted)
        with ThreadPoolExecutor(self._parallel) as threads:
            running: dict[Future[Written], Wanted] = {}
            try:
                while True:
                    for item in islice(waiting, self._parallel - len(running)):
                        running[threads.submit(self._asked, item)] = item
                    if not running:
                        return
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        yield running.pop(future), future.result()
            finally:
                threads.shutdown(wait=False, cancel_futures=True)

    def _asked(self, wanted: Wanted) -> Written:
        options = self._options
        answer = self._endpoint.complete(
            prompt_for(wanted.problem),
            options.temperature,
            top_p=options.top_p,
            stop=options.stop,
            seed=None if options.seed is None else wanted.seed,
        )
        program, given = program_of(answer.text, wanted.problem)
        return Written(program, given, answer.prompt_tokens, answer.completion_tokens)


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

    def written(self, wanted: Sequence[Wanted]) -> Iterator[tuple[Wanted, Written]]:
        """The programs, problem by problem."""
        for batch in self._batches(wanted):
            tasks = [_task(group[0].problem) for group in batch]
            prompts = [self._prompt(task, group) for task, group in zip(tasks, batch, strict=True)]
            drawn = continuations(
                self._model, prompts, temperature=self._options.temperature, top_p=self._options.top_p
            )
            for group, task, prompt, texts in zip(batch, tasks, prompts, drawn, strict=True):
                for item, text in zip(group, texts, strict=True):
                    program, given = task.program(text.text)
                    yield item, Written(program, given, len(prompt.token_ids), text.tokens)

    def _prompt(self, task: _Task, group: Sequence[Wanted]) -> Prompt:
        tokens = self._max_tokens
        reference = group[0].problem.reference
        if self._length is not None and reference:
            added = reference.removeprefix(task.start)
            tokens = min(tokens, _LEAST_TOKENS + int(self._length * len(self._model.encode(added).token_ids)))
        end = partial(_end, task.behind, self._options.stop)
        return Prompt(prompt_tokens(self._model, task.asked, tokens), [item.seed for item in group], tokens, end)

    def _batches(self, wanted: Sequence[Wanted]) -> Iterator[list[list[Wanted]]]:
        """Groups of one problem each, about as many programs together as are wanted."""
        batch: list[list[Wanted]] = []
        for _, items in groupby(wanted, key=lambda item: item.problem.task_id):
            batch.append(list(items))
            if sum(map(len, batch)) >= self._together:
                yield batch
                batch = []
        if batch:
            yield batch


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
