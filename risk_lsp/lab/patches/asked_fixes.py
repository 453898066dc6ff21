"""Fixes that a language model at an endpoint is asked for. Answers are kept; an endpoint that fails stops no build."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from risk_lsp.repair.endpoint import Completion, Endpoint, EndpointError, EndpointOptions
from risk_lsp.repair.model_questions import python_blocks
from risk_lsp.sandbox.verdicts import Problem

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
