"""The worker process of a team's host: it remembers each person's texts apart, and in memory alone.

Texts of several people can share runs of the model.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from risk_lsp.errors import BadInput, RiskError, WorkerError
from risk_lsp.model.cores import stop_if_unwanted
from risk_lsp.model.window_memory import WindowMemory
from risk_lsp.model.window_runs import WindowReading
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.engine_worker import Answer, EngineScorer, explain, run_worker, warm_engine
from risk_lsp.worker.messages import ScoredArrays

if TYPE_CHECKING:
    from risk_lsp.model.code_model import KnownText
    from risk_lsp.risk.span_risk import PartialRisk, SpanRisk
    from risk_lsp.text.normal_form import ModelText

TEAM_WORKER_COMMAND = (sys.executable, "-m", "risk_lsp.team.team_worker")

_BYTES = 2_000_000_000
_BYTES_OF_ONE = 128_000_000
_LARGEST_HALF = float(np.finfo(np.float16).max)


class TeamScorer(EngineScorer):
    """Scores texts of several people. What one person had the model read never makes another person's answer quicker.

    `most_bytes` bounds what is remembered of all people together. Who asked least recently is forgotten first.
    """

    def __init__(self, engine: Engine, most_bytes: int) -> None:
        super().__init__(engine, WindowMemory(0), None)
        self._engine = engine
        self._most_bytes = most_bytes
        self._memories: OrderedDict[str, WindowMemory] = OrderedDict()

    def answer(
        self, question: str, parameters: dict[str, Any], on_part: Callable[[Answer], None] = lambda _: None
    ) -> Answer:
        """As `EngineScorer.answer`; the question `score` has `owner`, `text`, `language_id` and `at`.

        Its hazards are float16[tokens]: no probability moves by more than .0002. The question `scores` has several of
        these as `asked`, and `most_tokens`; see `_score_together`.
        """
        if question == "score":
            return self._score(parameters, on_part)
        if question == "scores":
            return self._score_together(parameters["asked"], parameters["most_tokens"], on_part)
        return super().answer(question, parameters, on_part)

    def _score(self, asked: dict[str, Any], on_part: Callable[[Answer], None]) -> Answer:
        given, known = self._recall(asked)
        memory = self._memory_of(asked["owner"])
        found = known.read(
            lambda part: on_part(_in_half(self._engine.partial_risk(given, part, known.encoding, memory)))
        )
        risk = self._engine.risk(given, found, memory)
        self._forget()
        return _in_half(risk)

    def _score_together(
        self, asked: Sequence[dict[str, Any]], most_tokens: int, on_part: Callable[[Answer], None]
    ) -> Answer:
        """The answer to the first of several questions `score`, and to those that can share its runs of the model.

        Together they have at most `most_tokens` to run. Those that do not fit are told first, in a part: `left` has
        their indices, and how many tokens each has to run. If reading them together fails, they are read one by one, so
        that a text harms no other. `answers_in` takes the answer apart.
        """
        texts: dict[int, tuple[ModelText, KnownText]] = {}
        tokens: dict[int, int] = {}  # to be run, of the texts that take part
        left = []
        for index, each in enumerate(asked):
            try:
                given, known = self._recall(each)
            except Exception:  # asked alone, it says why
                tokens[index] = 0
                continue
            count = known.reading.tokens_left
            if index and sum(tokens.values()) + count > most_tokens:
                left.append([index, count])
            else:
                texts[index], tokens[index] = (given, known), count
        if left:
            on_part(({"left": left}, {}))
        found: dict[int, Answer] = {}
        if len(texts) > 1:
            try:
                WindowReading.read_together([known.reading for _, known in texts.values()])
                for index, (given, known) in texts.items():
                    found[index] = _in_half(
                        self._engine.risk(given, known.tokens(), self._memory_of(asked[index]["owner"]))
                    )
            except Exception:
                stop_if_unwanted()
                found = {}
        shared = len(found)
        for index in tokens.keys() - found.keys():
            try:
                found[index] = self._score(asked[index], on_part if len(tokens) == 1 else lambda _: None)
            except Exception as error:
                stop_if_unwanted()
                found[index] = {"error": explain(error)}, {}
        self._forget()
        headers = [[index, tokens[index], header] for index, (header, _) in found.items()]
        arrays = {f"{index}.{name}": each for index, (_, own) in found.items() for name, each in own.items()}
        return {"scores": headers, "shared": shared}, arrays

    def _recall(self, asked: dict[str, Any]) -> tuple[ModelText, KnownText]:
        memory = self._memory_of(asked["owner"])
        return self._engine.recall(asked["text"], asked["language_id"], memory, at=asked["at"])

    def _memory_of(self, owner: str) -> WindowMemory:
        memory = self._memories.setdefault(owner, WindowMemory(min(_BYTES_OF_ONE, self._most_bytes)))
        self._memories.move_to_end(owner)
        return memory

    def _forget(self) -> None:
        while len(self._memories) > 1 and sum(each.size for each in self._memories.values()) > self._most_bytes:
            self._memories.popitem(last=False)


class SharedAnswer(NamedTuple):
    """What one of several questions came to: tokens that the model ran for it, and the answer, or why there is none."""

    tokens: int
    answer: ScoredArrays | RiskError


def answers_in(scored: ScoredArrays) -> dict[int, SharedAnswer]:
    """The answers to the question `scores`, by the index of what was asked."""
    found = {}
    for index, tokens, header in scored.header["scores"]:
        prefix = f"{index}."
        own = {name.removeprefix(prefix): each for name, each in scored.arrays.items() if name.startswith(prefix)}
        error = header.get("error")
        if error is None:
            found[index] = SharedAnswer(tokens, ScoredArrays(header, own))
        else:
            kind = BadInput if error["refused"] else WorkerError
            found[index] = SharedAnswer(tokens, kind(error["message"], error["hint"]))
    return found


def _in_half(risks: SpanRisk | PartialRisk) -> Answer:
    header, arrays = risks.to_arrays()
    return header, {**arrays, "hazards": np.minimum(arrays["hazards"], _LARGEST_HALF).astype(np.float16)}


def load(options: dict[str, Any]) -> TeamScorer:
    """The scorer of a host. It keeps its priority: nobody types on its machine."""
    return TeamScorer(warm_engine(options), options.get("cache_bytes", _BYTES))


if __name__ == "__main__":
    sys.exit(run_worker(load))
