"""What the worker answers beside the risks of one document: those of many, infills, and what the model expected."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.model.infilling import Infiller
from risk_lsp.model.preferences import preferences
from risk_lsp.risk.engine import Engine

Reply = tuple[dict[str, Any], dict[str, NDArray[Any]]]


class Questions:
    """Answers questions by name; `parameters` and replies are those of repair/worker_model.py."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._infiller = Infiller(engine.model)

    def answer(self, question: str, parameters: dict[str, Any]) -> Reply:
        """Header and arrays. BadInput for a question that is not known."""
        if question == "risks":
            return self._risks(parameters["texts"], parameters["language_id"])
        if question == "infill":
            return self._infills(parameters)
        if question == "alternatives":
            return self._alternatives(parameters)
        if question == "preferences":
            found = preferences(self._engine.model, parameters["text"], parameters["variants"])
            return {}, {"preferences": found}
        raise BadInput(f"the worker knows no question {question!r}", "the two processes run different versions")

    def _risks(self, texts: list[str], language_id: str) -> Reply:
        headers: list[dict[str, Any]] = []
        arrays: dict[str, NDArray[Any]] = {}
        for number, risk in enumerate(self._engine.score_many(texts, language_id)):
            header, own = risk.to_arrays()
            headers.append(header)
            arrays |= {f"{number}.{name}": array for name, array in own.items()}
        return {"risks": headers}, arrays

    def _infills(self, asked: dict[str, Any]) -> Reply:
        fills = [
            self._infiller.fill(asked["text"], start, end, count=asked["count"], max_tokens=asked["max_tokens"])
            for start, end in asked["spans"]
        ]
        return {"infills": [[[fill.text, fill.log_probability] for fill in found] for found in fills]}, {}

    def _alternatives(self, asked: dict[str, Any]) -> Reply:
        found = self._infiller.alternatives(asked["text"], asked["start"], asked["end"], asked["top"])
        return {
            "alternatives": [[token.start, token.end, token.probability, list(token.expected)] for token in found]
        }, {}
