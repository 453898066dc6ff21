"""Which of several texts that a model wrote for one place is taken, and what tests say of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from risk_lsp.repair.execution import Execution
from risk_lsp.repair.test_plan import TestPlan
from risk_lsp.risk.writing import WrittenText

PickBy = Literal["lowest-risk", "likeliest"]
PICKS: tuple[PickBy, ...] = get_args(PickBy)


class PickedText(NamedTuple):
    """A text of several. passes: for each of them, the picked one first, whether the tests pass; None without tests."""

    text: WrittenText
    passes: tuple[bool, ...] | None

    @property
    def at_random(self) -> float | None:
        """pass@1 of a text picked at random: the share of those that pass; None without tests."""
        return None if self.passes is None else float(np.mean(self.passes))


async def pick(texts: Sequence[WrittenText], program: str, end: int, by: PickBy, tests: TestPlan | None) -> PickedText:
    """Take one of the texts, at least one, written in a program in front of `end`; all are run with the tests.

    by: "lowest-risk" takes the one with the lowest probability that it has to be edited, "likeliest" the one whose
    tokens were the likeliest on average. SandboxError where nothing can be run.
    """
    texts = sorted(texts, key=lambda text: text.probability if by == "lowest-risk" else -text.log_probability)
    if tests is None:
        return PickedText(texts[0], None)
    programs = [program[: text.start] + text.text + program[end:] for text in texts]
    async with Execution(tests) as execution:
        return PickedText(texts[0], tuple([await execution.confirms(each) for each in programs]))
