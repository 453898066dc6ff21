"""The embedded default as repairs see it, hosted in this process: the worker's own code without the worker."""

from __future__ import annotations

from functools import cache
from typing import Any

from risk_lsp.repair.model_questions import WorkerModel
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.engine_worker import SideQuestions
from risk_lsp.worker.messages import ScoredArrays

SUM = '''def add_all(numbers):
    """The sum of the numbers.

    >>> add_all([1, 2])
    3
    >>> add_all([])
    0
    """
    total = 1
    for number in numbers:
        total += number
    return total
'''
FIXED_SUM = SUM.replace("total = 1", "total = 0")


@cache
def questions() -> SideQuestions:
    return SideQuestions(Engine.load(threads=1))


def default_model() -> WorkerModel:
    async def ask(question: str, parameters: dict[str, Any]) -> ScoredArrays:
        return ScoredArrays(*questions().answer(question, parameters))

    return WorkerModel(ask)
