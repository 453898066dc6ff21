"""`risk-lsp debugger evaluate`: models asked in several ways about the same failing programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.cli.command_line import main
from risk_lsp.lab.debugger.debugger_evaluation import ContestantResult, figures_of, first_mistakes, table_of
from risk_lsp.lab.debugger.debugging_data import Mistake
from risk_lsp.sandbox.verdicts import Problem
from tests.lab.debugger.debugging import RIGHT, WORDS, WRONG, problem, read_lines, write_lines
from tests.model.conftest import save_family


def record(number: int) -> dict[str, Any]:
    return {
        "group": f"Own/{number}",
        "program": WRONG,
        "verified": False,
        "error": "AssertionError: add(2, 3): got -1, expected 5",
        "problem": {**problem(number), "entry_point": None},
        "repairs": [{"explanation": WORDS, "program": RIGHT, "passed": True}],
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_family(tmp_path_factory.mktemp("models") / "tiny", "Llama", max_position_embeddings=1024)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "data.jsonl", [record(0), record(1), record(1)])


def evaluate(out: Path, model: Path, data: Path, *more: str) -> dict[str, Any]:
    given = ["--models", f"prompting={model}", f"sft={model}", "--data", str(data), "--split", "all"]
    given += ["--answers", "2", "--max-tokens", "4", "--threads", "1"]
    assert main(["debugger", "evaluate", str(out), *given, *more]) == 0
    found: dict[str, Any] = json.loads((out / "figures.json").read_text())
    return found


@pytest.mark.usefixtures("sandboxed")
def test_every_model_is_asked_in_every_way_about_one_program_of_each_problem(
    model: Path, data: Path, tmp_path: Path
) -> None:
    figures = evaluate(tmp_path / "out", model, data)

    assert list(figures) == [
        f"{name}: {way}" for name in ("prompting", "sft") for way in ("initial", "direct", "explained")
    ]
    assert {row["problems"] for row in figures.values()} == {2}
    assert figures["sft: direct"]["gain@1"] == [0.0, 0.0, 0.0]  # the same model, with the same seeds


def test_a_problem_that_does_not_say_what_is_asked_is_left_out() -> None:
    said, unsaid = (
        Mistake(Problem(**{**record(number)["problem"], "prompt": prompt}), WRONG, "it fails", ())
        for number, prompt in ((0, "Write add(a, b)."), (1, " "))
    )

    assert first_mistakes([unsaid, said]) == [said]


@pytest.mark.usefixtures("sandboxed")
def test_the_riskiest_lines_can_stand_in_the_question(
    model: Path, data: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    figures = evaluate(tmp_path / "out", model, data, "--guided", "--bundle", str(tiny_bundle))

    assert figures["sft: direct, guided"]["tokens"] > figures["sft: direct"]["tokens"]


@pytest.mark.usefixtures("sandboxed")
def test_a_run_that_was_killed_asks_only_for_what_is_missing(model: Path, data: Path, tmp_path: Path) -> None:
    whole = evaluate(tmp_path / "out", model, data)
    outcomes = tmp_path / "out" / "outcomes.jsonl"
    before = read_lines(outcomes)
    outcomes.write_bytes(outcomes.read_bytes()[:-10])

    assert evaluate(tmp_path / "out", model, data) == whole
    assert read_lines(outcomes) == before


@pytest.mark.parametrize("models", ["sft", "=path", "sft="])
def test_a_model_needs_a_name_and_a_path(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], models: str
) -> None:
    assert main(["debugger", "evaluate", str(tmp_path), "--models", models, "--data", str(data)]) != 0
    assert "is not a name of its own and a path" in capsys.readouterr().err


def outcomes(name: str, way: str, passing: tuple[int, ...], tokens: int) -> list[ContestantResult]:
    return [
        ContestantResult(name, way, f"Own/{n}", f"Own/{n}", 10, some, 10 * tokens) for n, some in enumerate(passing)
    ]


FIGURES = figures_of(
    [
        *outcomes("prompting", "initial", (1, 0, 0, 10), 100),
        *outcomes("prompting", "direct", (1, 0, 0, 0), 300),
        *outcomes("sft", "initial", (1, 0, 0, 10), 100),
        *outcomes("sft", "direct", (10, 0, 5, 0), 300),
    ],
    "prompting",
)


def test_rates_are_means_of_pass_at_k_over_problems() -> None:
    assert FIGURES["sft: direct"]["pass@1"][0] == pytest.approx(0.375)
    assert FIGURES["sft: direct"]["pass@10"][0] == pytest.approx(0.5)


def test_a_gain_is_the_difference_by_problem_from_the_first_model_with_its_interval() -> None:
    gain, low, high = FIGURES["sft: direct"]["gain@1"]

    assert gain == pytest.approx((0.9 + 0.5) / 4)
    assert low <= gain <= high and low >= 0.0
    assert "gain@1" not in FIGURES["prompting: direct"]


def test_a_repair_is_held_against_new_programs_for_the_same_tokens() -> None:
    k, rate, *_ = FIGURES["prompting: direct"]["anew"]

    assert (k, rate) == (3, pytest.approx((0.3 + 1.0) / 4))


def test_the_table_names_every_figure() -> None:
    assert table_of(FIGURES).splitlines()[0] == (
        "| model: way | problems | pass@1 | pass@10 | gain@1 | gain@10 | tokens | new programs for the same tokens |"
    )
    assert "| sft: direct | 4 | 37.5 (" in table_of(FIGURES)
