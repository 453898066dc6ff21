"""What stands behind a number."""

from __future__ import annotations

from risk_lsp.repair.model_questions import WorkerModel, explain
from risk_lsp.text.document import Span
from tests.repair.models import SUM

LINE = Span(SUM.index("total += number"), SUM.index("total += number") + len("total += number"))


async def test_an_explanation_names_tokens_of_the_span_the_likeliest_first(model: WorkerModel) -> None:
    explanation = await explain(model, SUM, "python", LINE)

    probabilities = [token.probability for token in explanation.tokens]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(LINE.start <= token.span.start and token.span.end <= LINE.end for token in explanation.tokens)
    assert all(SUM[token.span.start : token.span.end] == token.text for token in explanation.tokens)


async def test_it_is_about_the_number_that_is_shown(model: WorkerModel) -> None:
    (risk,) = await model.risks([SUM], "python")
    explanation = await explain(model, SUM, "python", LINE)

    assert explanation.probability == risk.probability(*LINE)
    assert 0 < sum(token.share for token in explanation.tokens) <= 1 + 1e-9


async def test_what_the_model_expected_is_something_else_than_the_token(model: WorkerModel) -> None:
    explanation = await explain(model, SUM, "python", LINE)

    for token in explanation.tokens:
        assert token.expected
        assert token.text not in [word for word, _ in token.expected]
        assert token.seen is not None
        assert 0 <= token.seen <= 1


async def test_a_span_without_tokens_has_no_reasons(model: WorkerModel) -> None:
    explanation = await explain(model, "", "python", Span(0, 0))

    assert (explanation.probability, explanation.tokens) == (0.0, ())
