"""`risk-lsp debugger train`: a random model learns from verified repairs, then by rewards, killed and resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="trl needs Python 3.11")

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from risk_lsp.cli.command_line import main
from risk_lsp.lab.debugger.debugging_data import Attempt, Mistake
from risk_lsp.lab.debugger.dialogue import ChatFormat
from risk_lsp.lab.debugger.fine_tuning import OneQuestionTrainer, lessons_of
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.sources import Adapter
from risk_lsp.repair.model_questions import SYSTEM
from risk_lsp.sandbox.verdicts import Problem
from tests.lab.debugger.debugging import RIGHT, WORDS, WRONG, problem, write_lines
from tests.model.conftest import save_family
from tests.model.gguf_files import write_gguf

pytestmark = [
    pytest.mark.usefixtures("sandboxed"),
    pytest.mark.filterwarnings("default"),  # of trl and its friends
]


def record(number: int, *, repaired: bool = True) -> dict[str, Any]:
    return {
        "task_id": f"Own/{number}",
        "benchmark": "own",
        "group": f"Own/{number}",
        "program": WRONG,
        "verified": False,
        "error": "AssertionError: add(2, 3): got -1, expected 5",
        "problem": {**problem(number), "entry_point": None},
        "repairs": [{"explanation": WORDS, "program": RIGHT, "passed": True}] if repaired else [],
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_family(tmp_path_factory.mktemp("models") / "tiny", "Llama", max_position_embeddings=1024)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "data.jsonl", [record(0), record(1), record(2, repaired=False)])


def train(out: Path, method: str, model: Path, data: Path, *more: str) -> dict[str, Any]:
    given = ["--method", method, "--model", str(model), "--data", str(data), "--split", "all", "--rank", "2"]
    assert main(["debugger", "train", str(out), *given, "--checkpoint-steps", "1", *more]) == 0
    found: dict[str, Any] = json.loads((out / "training.json").read_text())
    return found


def losses(run: dict[str, Any]) -> list[float]:
    return [step["loss"] for step in run["figures"] if "loss" in step]


def test_supervised_training_lowers_the_loss_of_answers(model: Path, data: Path, tmp_path: Path) -> None:
    run = train(tmp_path / "sft", "sft", model, data, "--steps", "8", "--batch", "2", "--rate", "0.02")

    assert (run["lessons"], run["learnt"], run["steps"]) == (2 * 2, 4, 8)
    assert losses(run)[-1] < losses(run)[0]
    assert (tmp_path / "sft" / "loss.png").stat().st_size > 0


def test_what_was_trained_is_a_small_adapter_and_a_model_that_everything_here_loads(
    model: Path, data: Path, tmp_path: Path
) -> None:
    train(tmp_path / "sft", "sft", model, data, "--steps", "2", "--batch", "1", "--rate", "0.02")
    adapter = tmp_path / "sft" / "adapter" / "adapter_model.safetensors"

    assert 0 < adapter.stat().st_size < (model / "model.safetensors").stat().st_size
    trained, before = (CodeModel.load(folder, threads=1) for folder in (tmp_path / "sft" / "model", model))
    tokens = [before.encode(RIGHT).token_ids]
    assert (
        trained.host.run(tokens, [2], to_end=False)[0].residuals[2]
        != before.host.run(tokens, [2], to_end=False)[0].residuals[2]
    ).any()


def test_the_product_loads_the_adapter_and_asks_in_the_format_of_the_training(
    model: Path, data: Path, tmp_path: Path
) -> None:
    train(tmp_path / "sft", "sft", model, data, "--steps", "2", "--batch", "1", "--rate", "0.02", "--blocks", "1")
    adapter, plain = Adapter.load(tmp_path / "sft" / "adapter"), CodeModel.load(model, threads=1)
    tokens = plain.encode(RIGHT).token_ids
    adapted, merged = (
        each.host.run([tokens], [3], to_end=False)[0].residuals[3]
        for each in (plain.with_adapter(adapter), CodeModel.load(tmp_path / "sft" / "model", threads=1))
    )

    assert {name.split(".")[2] for name in adapter.changes} == {"2"}, "the uppermost of three blocks"
    assert abs(adapted - merged).max() < 0.05 * abs(merged).max()  # which is kept in bfloat16
    question = [*adapter.before, *plain.encode("Why?").token_ids.tolist(), *adapter.after]
    assert plain.tokenizer.decode(question) == ChatFormat.of(model).text("Why?", SYSTEM)


def test_a_model_in_a_gguf_file_learns_too(model: Path, data: Path, tmp_path: Path) -> None:
    file = write_gguf(model, tmp_path / "tiny.gguf")
    run = train(tmp_path / "sft", "sft", file, data, "--steps", "1", "--batch", "1")
    same = train(tmp_path / "same", "sft", model, data, "--steps", "1", "--batch", "1")

    assert losses(run) == pytest.approx(losses(same), rel=0.02)
    assert CodeModel.load(tmp_path / "sft" / "model", threads=1).layer_count == 3


def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(model: Path, data: Path, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", "sft", model, data, "--steps", "4", "--batch", "1")
    parts = tmp_path / "parts"
    train(parts, "sft", model, data, "--steps", "4", "--batch", "1")
    # As if killed after the third step while the fourth checkpoint was written.
    (parts / "training.json").unlink()
    (parts / "checkpoints" / "checkpoint-4" / "trainer_state.json").write_text('{"half')
    resumed = train(parts, "sft", model, data, "--steps", "4", "--batch", "1")

    assert losses(resumed) == pytest.approx(losses(whole), rel=1e-4)


def test_a_time_budget_ends_a_run_with_a_whole_result(model: Path, data: Path, tmp_path: Path) -> None:
    given = ("--steps", "500", "--batch", "1", "--products", "bfloat16")
    run = train(tmp_path / "sft", "sft", model, data, *given, "--minutes", "0.0001")

    assert run["steps"] == 1
    assert (tmp_path / "sft" / "model" / "model.safetensors").is_file()


def test_reinforcement_goes_on_from_the_supervised_adapter_and_draws_its_rewards(
    model: Path, data: Path, tmp_path: Path
) -> None:
    train(tmp_path / "sft", "sft", model, data, "--steps", "1", "--batch", "1")
    given = ("--adapter", str(tmp_path / "sft" / "adapter"), "--steps", "2", "--group", "2", "--max-tokens", "8")
    run = train(tmp_path / "rl", "rl", model, data, *given)

    assert (run["steps"], run["questions"], run["group"]) == (2, 3 * 2, 2)
    assert [step["reward"] >= 0 for step in run["figures"] if "reward" in step] == [True, True]
    assert next(step["kl"] for step in run["figures"] if "kl" in step) == pytest.approx(0.0, abs=1e-4)
    assert (tmp_path / "rl" / "rewards.png").stat().st_size > 0


def test_answers_that_share_their_question_are_drawn_and_learnt_from_as_one_by_one(model: Path, tmp_path: Path) -> None:
    def run(kind: type[GRPOTrainer]) -> tuple[torch.Tensor, ...]:
        trainer = kind(
            model=AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32),
            reward_funcs=lambda completions, **_: [0.0] * len(completions),
            args=GRPOConfig(
                output_dir=str(tmp_path),
                num_generations=2,
                max_completion_length=5,
                use_cpu=True,
                bf16=False,
                report_to="none",
            ),
            train_dataset=Dataset.from_list([{"prompt": "a"}]),
            processing_class=AutoTokenizer.from_pretrained(model, pad_token="<unk>", eos_token="<unk>"),
        )
        # Two answers, of three tokens and of two, to one question of four tokens behind two of padding.
        tokens = torch.tensor([[0, 0, 5, 6, 7, 8, 9, 10, 11], [0, 0, 5, 6, 7, 8, 12, 13, 0]])
        there = torch.tensor([[0, 0, 1, 1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1, 1, 0]])
        logs, entropies, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model, tokens, there, 3, compute_entropy=True
        )
        kept = there[:, -3:].bool()
        logs[kept].square().sum().backward()
        (gradient,) = (
            weight.grad for name, weight in trainer.model.named_parameters() if name.endswith("0.mlp.up_proj.weight")
        )
        torch.manual_seed(0)
        drawn, _ = trainer._generate_single_turn([[5, 6, 7, 8]] * 2, None, {}, 2)
        return (
            logs[kept].detach(),
            entropies[kept].detach(),
            gradient,
            torch.tensor([token for answer in drawn for token in answer]),
        )

    for ours, theirs in zip(run(OneQuestionTrainer), run(GRPOTrainer), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_reinforcement_that_was_killed_goes_on(model: Path, data: Path, tmp_path: Path) -> None:
    given = ("--steps", "3", "--group", "2", "--max-tokens", "8")
    whole = train(tmp_path / "rl", "rl", model, data, *given)
    (tmp_path / "rl" / "training.json").unlink()
    (tmp_path / "rl" / "checkpoints" / "checkpoint-3" / "trainer_state.json").unlink()
    resumed = train(tmp_path / "rl", "rl", model, data, *given)

    assert [step["step"] for step in resumed["figures"]] == [step["step"] for step in whole["figures"]]


def test_a_finished_run_is_not_written_over(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "training.json").write_text("{}")
    given = ["--method", "sft", "--model", str(model), "--data", str(data)]

    assert main(["debugger", "train", str(tmp_path), *given]) != 0
    assert "tells of a finished run" in capsys.readouterr().err


def test_data_without_a_verified_repair_is_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_lines(tmp_path / "data.jsonl", [record(0, repaired=False)])
    given = ["--method", "sft", "--model", str(model), "--data", str(data), "--split", "all"]

    assert main(["debugger", "train", str(tmp_path / "out"), *given]) != 0
    assert "none of 0 verified repairs fits into 1024 tokens" in capsys.readouterr().err


def test_a_lesson_is_the_products_question_and_an_answer_in_its_form() -> None:
    mistake = Mistake(Problem(**record(0)["problem"]), WRONG, "it fails", (Attempt(WORDS, RIGHT, True),))
    explained, direct = lessons_of([mistake], ("explained", "direct"))

    assert explained.answer == f"{WORDS}\n\n```python\n{RIGHT}```"
    assert direct.answer == f"```python\n{RIGHT}```"
    assert "First say in at most three sentences what is wrong" in explained.prompt
    assert WRONG in direct.prompt and "it fails" in direct.prompt and "Write add(a, b) number 0." in direct.prompt


def test_a_model_without_a_chat_template_is_asked_in_plain_text(model: Path) -> None:
    assert ChatFormat.of(model).text("Why?", "Be brief.") == "Be brief.\n\nWhy?\n\nAnswer:\n"
