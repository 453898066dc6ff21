"""What a model is asked when it debugs, how its chat format writes that, and who answers: a local model or an endpoint.

The questions about failing programs are those of the product (risk_lsp/repair/model_questions.py), so that a model that
learnt from them serves the product's repairs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from risk_lsp.lab.patches.sample_command import is_code
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.generation import Prompt, continuations
from risk_lsp.repair.endpoint import Endpoint
from risk_lsp.repair.model_questions import SYSTEM, RiskyLine, Situation
from risk_lsp.sandbox.verdicts import Problem

Kind = Literal["words", "program", "script"]
# Where an answer of each kind is over: words where code begins, a script behind its block, a program, too, or where it
# goes on to try itself out.
_ENDS: dict[Kind, re.Pattern[str]] = {
    "words": re.compile(r"(?=```)"),
    "script": re.compile(r"```[^\n]*\n.*?^[ \t]*```", re.DOTALL | re.MULTILINE),
    "program": re.compile(
        r"```[^\n]*\n.*?(?:^[ \t]*```|\n(?=assert\b|print\(|if __name__|# [Tt]est))", re.DOTALL | re.MULTILINE
    ),
}
_MARK = "QUESTION"  # stands for a question
_LONGEST_FAILURE = 240  # characters, of the last lines: a small model's context and a small machine's time
_LONGEST_REQUEST = 2400  # characters of what was asked


class Question(NamedTuple):
    """What one model is asked, and a seed for each answer that is wanted.

    kind: what answers it, which says where the answer is over.
    """

    prompt: str
    seeds: tuple[int, ...]
    kind: Kind
    system: str = ""


class Reply(NamedTuple):
    """An answer, and the tokens that were read and written for it; None where that is not known."""

    text: str
    prompt_tokens: int | None
    completion_tokens: int | None


class Respondent(Protocol):
    """Who answers questions. `name` stands in the records."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    def answers(self, questions: Sequence[Question]) -> list[list[Reply]]:
        """For each question a reply per seed."""
        ...


def situation_of(
    problem: Problem, program: str, failure: str, *, feedback: str = "", risky: tuple[RiskyLine, ...] = ()
) -> Situation:
    """A failing program as the product's questions tell of it; what was asked is said where the program lacks it."""
    asked = "" if is_code(problem.prompt) else (problem.text or problem.prompt).strip()[:_LONGEST_REQUEST]
    return Situation(
        name="solution.py",
        language_id="python",
        text=program,
        command=f"the tests of {problem.task_id}",
        failure=_last_lines(failure),
        risky=risky,
        hint=asked,
        feedback=feedback,
    )


def _last_lines(failure: str) -> str:
    """As many of the last lines as may be told, and of a longer last one the end."""
    told = failure[-_LONGEST_FAILURE:]
    _, found, whole = told.partition("\n")
    return whole if found and whole.strip() and len(told) < len(failure) else told


def repair_question(prompt: str, seeds: Sequence[int], kind: Kind) -> Question:
    """A question of the product, with the words that it puts before all of them."""
    return Question(prompt, tuple(seeds), kind, SYSTEM)


def kind_of(problem: Problem) -> Kind:
    """What a repair of one of the problem's programs is."""
    return "script" if problem.test_kind == "stdio" else "program"


class ChatFormat:
    """How a model's tokenizer writes a question before its answer.

    One without a chat template gets plain text. `tokenizer` is one of transformers.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    @classmethod
    def of(cls, model: Path) -> ChatFormat:
        """That of a model folder or a GGUF file."""
        from transformers import AutoTokenizer

        file = {"gguf_file": model.name} if model.is_file() else {}
        folder = model.parent if model.is_file() else model
        return cls(AutoTokenizer.from_pretrained(folder, local_files_only=True, **file))

    def text(self, prompt: str, system: str = "") -> str:
        """The question, up to where the answer begins."""
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": prompt})
        if self.tokenizer.chat_template is None:
            return "\n\n".join(each["content"].strip() for each in messages) + "\n\nAnswer:\n"
        return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def around(self, system: str) -> tuple[list[int], list[int]]:
        """The tokens before and behind a question."""
        before, _, after = self.text(_MARK, system).partition(_MARK)
        is_plain = self.tokenizer.chat_template is None
        return (
            list(self.tokenizer(before, add_special_tokens=is_plain)["input_ids"]),
            list(self.tokenizer(after, add_special_tokens=False)["input_ids"]),
        )

    def token_ids(self, prompt: str, system: str = "") -> list[int]:
        """The same as tokens; a template writes every special token itself."""
        is_plain = self.tokenizer.chat_template is None
        return list(self.tokenizer(self.text(prompt, system), add_special_tokens=is_plain)["input_ids"])


class LocalRespondent:
    """A model of this machine; `together` answers are written at a time, `max_tokens` each."""

    def __init__(
        self,
        model: CodeModel,
        chat: ChatFormat,
        *,
        temperature: float,
        max_tokens: int,
        together: int,
        top_p: float = 1.0,
    ) -> None:
        self.name = model.name
        self._model = model
        self._chat = chat
        self._temperature = temperature
        self._top_p = top_p
        self._max_tokens = min(max_tokens, model.context // 2)
        self._together = together

    def answers(self, questions: Sequence[Question]) -> list[list[Reply]]:
        """The replies. A question that leaves no room in the context loses its beginning."""
        room = self._model.context - self._max_tokens
        prompts = [
            Prompt(
                np.array(self._chat.token_ids(question.prompt, question.system)[-room:], dtype=np.int64),
                question.seeds,
                self._max_tokens,
                partial(_end, question.kind),
            )
            for question in questions
        ]
        found: list[list[Reply]] = []
        for first, last in _parts([len(prompt.seeds) for prompt in prompts], self._together):
            part = prompts[first:last]
            drawn = continuations(self._model, part, temperature=self._temperature, top_p=self._top_p)
            found += [
                [Reply(each.text, len(prompt.token_ids), each.tokens) for each in texts]
                for prompt, texts in zip(part, drawn, strict=True)
            ]
        return found


class EndpointRespondent:
    """A model at an endpoint, asked `parallel` questions at a time. EndpointError where it does not answer."""

    def __init__(self, endpoint: Endpoint, name: str, *, temperature: float, parallel: int) -> None:
        self.name = name
        self._endpoint = endpoint
        self._temperature = temperature
        self._parallel = parallel

    def answers(self, questions: Sequence[Question]) -> list[list[Reply]]:
        """The replies; an endpoint may ignore the seeds."""
        with ThreadPoolExecutor(self._parallel) as threads:
            waiting = [[threads.submit(self._ask_endpoint, each, seed) for seed in each.seeds] for each in questions]
            return [[future.result() for future in futures] for futures in waiting]

    def _ask_endpoint(self, question: Question, seed: int) -> Reply:
        prompt = f"{question.system}\n\n{question.prompt}" if question.system else question.prompt
        answer = self._endpoint.complete(prompt, self._temperature, seed=seed)
        return Reply(answer.text[: _end(question.kind, answer.text)], answer.prompt_tokens, answer.completion_tokens)


def _end(kind: Kind, text: str) -> int | None:
    found = _ENDS[kind].search(text)
    return found.end() if found else None


def _parts(counts: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Stretches of neighbours whose counts add up to about `most`."""
    ends: list[int] = []
    size = 0
    for index, count in enumerate(counts, start=1):
        size += count
        if size >= most:
            ends.append(index)
            size = 0
    if size:
        ends.append(len(counts))
    return list(zip([0, *ends], ends, strict=False))
