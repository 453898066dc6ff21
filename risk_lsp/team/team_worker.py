"""The worker process of a team's host: it remembers each person's texts apart, and in memory alone."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.model.window_runs import WindowMemory
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.engine_worker import Answer, EngineScorer, run_worker, warm_engine

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

        Its hazards are float16[tokens]: no probability moves by more than .0002.
        """
        if question != "score":
            return super().answer(question, parameters, on_part)
        risks = self._engine.rescore(
            parameters["text"],
            parameters["language_id"],
            self._memory_of(parameters["owner"]),
            at=parameters["at"],
            on_part=lambda part: on_part(_in_half(*part.to_arrays())),
        )
        self._forget()
        return _in_half(*risks.to_arrays())

    def _memory_of(self, owner: str) -> WindowMemory:
        memory = self._memories.setdefault(owner, WindowMemory(min(_BYTES_OF_ONE, self._most_bytes)))
        self._memories.move_to_end(owner)
        return memory

    def _forget(self) -> None:
        while len(self._memories) > 1 and sum(each.size for each in self._memories.values()) > self._most_bytes:
            self._memories.popitem(last=False)


def _in_half(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Answer:
    return header, {**arrays, "hazards": np.minimum(arrays["hazards"], _LARGEST_HALF).astype(np.float16)}


def load(options: dict[str, Any]) -> TeamScorer:
    """The scorer of a host. It keeps its priority: nobody types on its machine."""
    return TeamScorer(warm_engine(options), options.get("cache_bytes", _BYTES))


if __name__ == "__main__":
    sys.exit(run_worker(load))
