"""The real worker of one bundle, which notes after each text how many tokens its model has run so far.

Usage: python -m tests.server.counting_worker BUNDLE NOTES
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from risk_lsp.model.window_memory import WindowMemory
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.engine_worker import Answer, EngineScorer, run_worker

BUNDLE, NOTES = Path(sys.argv[1]), Path(sys.argv[2])
MEMORY = WindowMemory(1 << 24)


class CountingScorer(EngineScorer):
    """Writes a line a text."""

    def score(self, text: str, language_id: str, at: int, on_part: Callable[[Answer], None]) -> Answer:
        """As the engine does."""
        found = super().score(text, language_id, at, on_part)
        with NOTES.open("a", encoding="ascii") as notes:
            notes.write(f"{MEMORY.tokens_run}\n")
        return found


def load(_: dict[str, Any]) -> CountingScorer:
    """The scorer of the bundle."""
    return CountingScorer(Engine.load(BUNDLE, threads=1), MEMORY, None)


if __name__ == "__main__":
    sys.exit(run_worker(load))
