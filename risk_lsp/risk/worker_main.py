"""The worker process: hosts one bundle and scores texts that arrive on its standard input."""

from __future__ import annotations

import sys
from typing import Any

from numpy.typing import NDArray

from risk_lsp.model.window_memory import WindowMemory
from risk_lsp.model.worker import run_worker
from risk_lsp.probe.locate import bundle_path
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.questions import Questions

_CACHE_BYTES = 256_000_000


class EngineScorer:
    """The engine as the worker's loop wants it."""

    def __init__(self, engine: Engine, cache_bytes: int) -> None:
        self._engine = engine
        self._memory = WindowMemory(cache_bytes)
        self._questions = Questions(engine)

    def describe(self) -> dict[str, Any]:
        """What is loaded, for the server's status and hover."""
        return self._engine.describe()

    def score(self, text: str, language_id: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The risks of one text, as a header and arrays."""
        return self._engine.rescore(text, language_id, self._memory).to_arrays()

    def answer(self, question: str, parameters: dict[str, Any]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """What repair and explanations ask."""
        return self._questions.answer(question, parameters)


def load(options: dict[str, Any]) -> EngineScorer:
    """Load the bundle that the server's options name and run it once, so that the first document does not wait."""
    engine = Engine.load(
        bundle_path(options.get("bundle")),
        device=options.get("device", "auto"),
        dtype=options.get("dtype", "auto"),
        offline=options.get("offline", True),
        threads=options.get("threads"),
    )
    engine.score("def warm_up():\n    return 1\n")
    return EngineScorer(engine, options.get("cache_bytes", _CACHE_BYTES))


if __name__ == "__main__":
    sys.exit(run_worker(load))
