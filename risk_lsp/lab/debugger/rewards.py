"""What an answer about a failing program is worth: the repair by tests and CodeBLEU, the explanation by its words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from risk_lsp.lab.debugger.code_bleu import code_bleu
from risk_lsp.lab.debugger.debugging_data import Mistake
from risk_lsp.lab.debugger.examining import Examiner
from risk_lsp.repair.model_questions import program_in, without_blocks

_WORD = re.compile(r"\w+")


class RepairReward:
    """Rewards of answers to questions about some failing programs, as trl's trainers ask for them.

    A call takes the answers, and for each the index of its mistake. trl names what it logs by `__name__`.
    """

    __name__ = "repair"

    def __init__(self, mistakes: Sequence[Mistake], examiner: Examiner) -> None:
        self._mistakes = mistakes
        self._examiner = examiner

    def __call__(self, *, completions: Sequence[str], mistake: Sequence[int], **_: object) -> list[float]:
        """From 0 to 2 each."""
        return [self.of(self._mistakes[index], text) for text, index in zip(completions, mistake, strict=True)]

    def of(self, mistake: Mistake, answer: str) -> float:
        """The share of tests that the answer's program passes, and its CodeBLEU with the likest right program.

        Both count the same, as in arXiv 2405.18649; where no right program is known, the tests count for both. 0 for an
        answer without a program.
        """
        program = program_in(answer, mistake.program)
        if program is None:
            return 0.0
        share = self._examiner.examine(mistake.problem, program).share
        right = [repair.program for repair in mistake.repairs]
        if mistake.problem.reference:
            right.append(mistake.problem.reference)
        return share + max((code_bleu(program, each).score for each in right), default=share)


class ExplanationReward:
    """Rewards of the words before the program, by the explanations of verified repairs; None where there are none."""

    __name__ = "explanation"

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self._known = [[repair.explanation for repair in each.repairs if repair.explanation] for each in mistakes]

    def __call__(
        self, *, completions: Sequence[str], mistake: Sequence[int], explained: Sequence[bool], **_: object
    ) -> list[float | None]:
        """From 0 to 1 each; `explained`: whether the question asked for an explanation."""
        return [
            max(likeness(without_blocks(text), words) for words in self._known[index])
            if asked and self._known[index]
            else None
            for text, index, asked in zip(completions, mistake, explained, strict=True)
        ]


def likeness(text: str, other: str) -> float:
    """The cosine of the counts of two texts' words, from 0 to 1.

    The paper compares embeddings by a second model; counts need none, and see other wording as another meaning.
    """
    ours, theirs = (Counter(_WORD.findall(each.lower())) for each in (text, other))
    common = sum(count * theirs[word] for word, count in ours.items())
    lengths = [math.sqrt(sum(count**2 for count in counts.values())) for counts in (ours, theirs)]
    return common / (lengths[0] * lengths[1]) if common else 0.0
