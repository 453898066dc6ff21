"""What a repair and an explanation ask of a bundle that reads the normal form is told in offsets of the document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from risk_lsp.repair.model_questions import WorkerModel, explain
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.engine_worker import SideQuestions
from risk_lsp.text.document import Span
from risk_lsp.worker.messages import ScoredArrays
from tests.probe.tiny import SAMPLE, save_model, save_tiny_bundle

LINE = "if best is None or value < best:"
TEXT = "#!/usr/bin/python\r\n" + SAMPLE.replace("    ", "\t").replace("\n", "  # note\r\n")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> WorkerModel:
    folder: Path = tmp_path_factory.mktemp("normal")
    bundle = save_tiny_bundle(folder / "bundle", save_model(folder / "model", context=256), reading="normal-1")
    questions = SideQuestions(Engine.load(bundle))

    async def ask(question: str, parameters: dict[str, Any]) -> ScoredArrays:
        return ScoredArrays(*questions.answer(question, parameters))

    return WorkerModel(ask)


def place(text: str) -> Span:
    return Span(text.index(LINE), text.index(LINE) + len(LINE))


async def test_an_explanation_is_the_same_whatever_the_style(model: WorkerModel) -> None:
    styled = await explain(model, TEXT, "python", place(TEXT))
    plain = await explain(model, SAMPLE, "python", place(SAMPLE))

    assert styled.probability == plain.probability > 0
    assert [(token.text, token.probability, token.seen, token.expected) for token in styled.tokens] == [
        (token.text, token.probability, token.seen, token.expected) for token in plain.tokens
    ]


async def test_an_explanation_names_words_of_the_document(model: WorkerModel) -> None:
    explanation = await explain(model, TEXT, "python", place(TEXT))

    assert explanation.tokens
    for token in explanation.tokens:
        assert TEXT[token.span.start : token.span.end] == token.text == token.text.strip()
        assert token.seen is not None
        assert token.text not in [word.strip() for word, _ in token.expected]


async def test_a_comment_has_no_reasons(model: WorkerModel) -> None:
    start = TEXT.index("# note")

    explanation = await explain(model, TEXT, "python", Span(start, start + len("# note")))

    assert (explanation.probability, explanation.tokens) == (0.0, ())


async def test_preferences_are_those_of_code_and_not_of_comments(model: WorkerModel) -> None:
    variants = [text.replace("value < best", "value > best") for text in (TEXT, SAMPLE)]
    commented = TEXT.replace("# note", "# other")

    styled = await model.preferences(TEXT, [variants[0], commented])
    plain = await model.preferences(SAMPLE, [variants[1], SAMPLE])

    np.testing.assert_array_equal(styled, plain)
    assert styled[0] != 0
