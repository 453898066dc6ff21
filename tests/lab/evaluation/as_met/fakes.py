"""Columns whose scores a test can foretell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from risk_lsp.lab.evaluation.as_met.columns import Answer, Passage


@dataclass(frozen=True)
class Rule:
    """Scores each line by its text, and a whole by the text that it is in."""

    line: Callable[[str], float]
    whole: Callable[[str], float] = lambda text: 0.5
    name: str = "rule"
    is_level: bool = True

    def at_rest(self) -> Rule:
        """The same."""
        return self

    def answers(self, passages: Sequence[Passage]) -> list[Answer]:
        """The scores of passages, in their order."""
        return [
            Answer(
                np.array([self.line(text[start:end]) for start, end in lines.tolist()], dtype=np.float64),
                self.whole(text),
            )
            for text, lines, _ in passages
        ]
