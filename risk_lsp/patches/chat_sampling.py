"""Programs asked of a model by chat: what it is asked, and the programs in its answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice

from risk_lsp.patches.endpoint import Endpoint
from risk_lsp.patches.fences import python_blocks
from risk_lsp.patches.problems import Problem
from risk_lsp.patches.prompts import COMPLETE_FUNCTION, WRITE_PROGRAM, WRITE_SCRIPT
from risk_lsp.patches.renaming import bound_names, parses
from risk_lsp.patches.sampling import SamplingOptions, Wanted, Written, is_code


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
