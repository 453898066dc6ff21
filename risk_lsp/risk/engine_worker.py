"""The worker process: hosts one bundle, scores texts that arrive on standard input, and answers other questions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.model.activations import WindowMemory
from risk_lsp.model.infilling import Infiller, preferences
from risk_lsp.probe.manifest import bundle_path
from risk_lsp.risk.engine import DiskCache, Engine, cache_folder, key_prefix, text_key
from risk_lsp.risk.span_risk import SpanRisk, WritingTask, texts_to_arrays
from risk_lsp.text.document import Span
from risk_lsp.worker.child import Answer, run_worker, step_back

if TYPE_CHECKING:
    from risk_lsp.risk.writer import Writer

Reply = tuple[dict[str, Any], dict[str, NDArray[Any]]]


class SideQuestions:
    """Answers questions by name, with `parameters` and replies as JSON."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._infiller = Infiller(engine.model)
        self._writer: Writer | None = None

    def answer(
        self, question: str, parameters: dict[str, Any], on_part: Callable[[Reply], None] = lambda _: None
    ) -> Reply:
        """Header and arrays. BadInput for a question that is not known. `on_part` sees what is being written."""
        if question == "risks":
            return self._risks(parameters["texts"], parameters["language_id"])
        if question == "infill":
            fills = [
                self._infiller.fill(
                    parameters["text"], start, end, count=parameters["count"], max_tokens=parameters["max_tokens"]
                )
                for start, end in parameters["spans"]
            ]
            return {"infills": [[[fill.text, fill.log_probability] for fill in texts] for texts in fills]}, {}
        if question == "write":
            if self._writer is None:  # which takes memory, and most people do without
                from risk_lsp.risk.writer import Writer

                self._writer = Writer(self._engine)
            return texts_to_arrays(
                self._writer.write(WritingTask(**parameters), lambda text: on_part(({"text": text}, {})))
            )
        if question == "alternatives":
            return self._alternatives(parameters)
        if question == "preferences":
            texts = [self._engine.model_text(text).text for text in (parameters["text"], *parameters["variants"])]
            found = preferences(self._engine.model, texts[0], texts[1:])
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

    def _alternatives(self, asked: dict[str, Any]) -> Reply:
        given = self._engine.model_text(asked["text"], asked["language_id"])
        start, end = given.span_in_text(Span(*asked["span"]))
        found = self._infiller.alternatives(given.text, start, end, asked["top"])
        places = np.array([(token.start, token.end) for token in found], dtype=np.int64).reshape(-1, 2)
        starts, ends = given.spans_in_document(places[:, 0], places[:, 1])
        return {
            "alternatives": [
                [*place, token.probability, list(token.expected)]
                for *place, token in zip(starts.tolist(), ends.tolist(), found, strict=True)
            ]
        }, {}


_CACHE_BYTES = 256_000_000


class EngineScorer:
    """The engine as the worker's loop wants it."""

    def __init__(self, engine: Engine, memory: WindowMemory, disk: DiskCache | None) -> None:
        self._engine = engine
        self._memory = memory
        self._disk = disk
        self._prefix = key_prefix(engine.manifest, f"{engine.model.device} {engine.model.dtype} rounded")
        self._questions = SideQuestions(engine)

    def describe(self) -> dict[str, Any]:
        """What is loaded, for the server's status and hover."""
        return self._engine.describe()

    def score(self, text: str, language_id: str, at: int, on_part: Callable[[Answer], None]) -> Answer:
        """The risks of one text, as a header and arrays; those of its parts, as they are known."""

        def scored() -> SpanRisk:
            return self._engine.rescore(
                text, language_id, self._memory, at=at, on_part=lambda part: on_part(part.to_arrays())
            )

        if self._disk is None:
            return scored().to_arrays()
        key = text_key(self._prefix, text, language_id)
        risk = self._disk.get(key)
        if risk is None:
            before = self._memory.tokens_run
            risk = scored()
            # A text that was hardly known is one that somebody opened; one after an edit is followed by the next.
            if 2 * (self._memory.tokens_run - before) >= len(risk.starts):
                self._disk.put(key, risk)
        return risk.to_arrays()

    def answer(
        self, question: str, parameters: dict[str, Any], on_part: Callable[[Answer], None] = lambda _: None
    ) -> Answer:
        """What repair, explanations and writing ask."""
        return self._questions.answer(question, parameters, on_part)


def warm_engine(options: dict[str, Any]) -> Engine:
    """Load the bundle that the options name and run it once, so that the first document does not wait."""
    engine = Engine.load(
        bundle_path(options.get("bundle")),
        device=options.get("device", "auto"),
        dtype=options.get("dtype", "auto"),
        offline=options.get("offline", True),
        threads=options.get("threads"),
        whole_model=options.get("writes", False),
    )
    engine.score("def warm_up():\n    return 1\n")
    return engine


def load(options: dict[str, Any]) -> EngineScorer:
    """The scorer of one person's editor, which leaves the cores to what the person does."""
    step_back()
    engine = warm_engine(options)
    memory = WindowMemory(options.get("cache_bytes", _CACHE_BYTES))
    disk_bytes = options.get("disk_cache_bytes", 0)
    return EngineScorer(engine, memory, DiskCache(cache_folder(), disk_bytes) if disk_bytes else None)


if __name__ == "__main__":
    sys.exit(run_worker(load))
