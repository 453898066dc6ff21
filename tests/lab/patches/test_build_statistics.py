"""What is said of a data set of patches: apart by benchmark and by the model that wrote the programs."""

from __future__ import annotations

from typing import Any

from risk_lsp.lab.patches.release import statistics_of


def record(benchmark: str, model: str, *, touched: int | None = None, **more: Any) -> dict[str, Any]:
    """A failing program of four lines and eight tokens, of which a patch touches some; by default there is none."""
    found: dict[str, Any] = {"benchmark": benchmark, "model": model, "passed": False, "syntax_error": False}
    if touched is None:
        return {**found, "edited": None, **more}
    patch = {"lines": 4, "lines_touched": touched, "tokens": 8, "tokens_touched": touched, "hunks": [0], "source": "x"}
    return {**found, "edited": [[0, 1]], "patch": patch, **more}


def test_coverage_and_shares_are_given_by_benchmark_and_by_model() -> None:
    figures = statistics_of([record("a", "one", touched=1), record("a", "two"), record("b", "two", touched=2)], 1.0)

    assert {name: each["coverage"] for name, each in figures["by_benchmark"].items()} == {"a": 0.5, "b": 1.0}
    assert {name: each["median_share_of_lines"] for name, each in figures["by_model"].items()} == {
        "one": 0.25,
        "two": 0.5,
    }
    assert figures["by_model"]["one"]["median_share_of_tokens"] == 0.125


def test_what_was_asked_of_a_language_model_is_added_up() -> None:
    asked = {"model": "m", "answers": 2, "prompt_tokens": 30, "completion_tokens": 5}
    figures = statistics_of(
        [record("a", "one", answered=asked), record("a", "two", answered=asked), record("a", "three")], 1.0
    )

    assert figures["asked"] == {
        "programs": 2,
        "models": ["m"],
        "answers": 4,
        "prompt_tokens": 60,
        "completion_tokens": 10,
    }
