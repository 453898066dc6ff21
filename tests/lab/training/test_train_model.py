"""A tiny model learns a repetitive corpus within its budget, goes on where it stopped, and loads like any other."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from tokenizers import Tokenizer
from torch._dynamo.utils import counters

from risk_lsp.errors import BadInput
from risk_lsp.lab.training.packing import Sequences, Streams, read_corpus
from risk_lsp.lab.training.train_model import ModelShape, TrainingOptions, held_out_loss, new_model, train
from risk_lsp.model.code_model import CodeModel
from tests.lab.training.makers import document, save_corpus
from tests.probe.tiny import SAMPLE

SHAPE = ModelShape(width=32, layers=2, heads=2, key_value_heads=1, feed_forward=48, context=32)
SECONDS = 2.0


class Run(NamedTuple):
    options: TrainingOptions
    record: dict[str, Any]


def small_options(corpus: Path, out: Path) -> TrainingOptions:
    return TrainingOptions(
        corpus, out, SECONDS / 60, SHAPE, batch=4, micro_batch=2, length=32, rate=1e-2, threads=1, evaluation_steps=40
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    """One program over and over, for training and for the measure alike."""
    documents = [document(SAMPLE * 4), document(SAMPLE * 4, kind="model-written"), document(SAMPLE * 4, held_out=True)]
    return save_corpus(tmp_path_factory.mktemp("corpus"), tokenizer, documents)


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    threads = torch.get_num_threads()
    options = small_options(corpus, tmp_path_factory.mktemp("run"))
    train(options)
    torch.set_num_threads(threads)
    return Run(options, json.loads((options.out / "training.json").read_text("utf-8")))


def test_the_held_out_loss_falls_far_below_that_of_a_fresh_model(trained: Run) -> None:
    manifest, streams = read_corpus(trained.options.corpus), Streams.read(trained.options.corpus, 0.3)
    fresh = held_out_loss(
        new_model(SHAPE, manifest["vocabulary_size"], manifest["end_of_text"]), streams, trained.options
    )

    assert trained.record["held_out_loss"] < fresh - 2


def test_a_fresh_model_expects_every_token_alike(corpus: Path, trained: Run) -> None:
    model = new_model(SHAPE, 300, 0)

    assert held_out_loss(model, Streams.read(corpus, 0.3), trained.options) == pytest.approx(5.7, abs=0.1)  # ln 300


def test_the_budget_is_spent_and_not_much_more(trained: Run) -> None:
    assert SECONDS <= trained.record["progress"]["seconds"] < SECONDS + 5


def test_the_tokens_seen_are_counted(trained: Run) -> None:
    progress = trained.record["progress"]

    assert progress["tokens"] == progress["step"] * 4 * 32


def test_the_record_says_what_the_run_was_told_and_names_no_place_on_the_machine(trained: Run) -> None:
    options = trained.record["options"]

    assert (options["rate"], options["shape"]["width"]) == (1e-2, 32)
    assert str(trained.options.out.parent) not in json.dumps(trained.record)


def test_the_saved_model_gives_in_transformers_what_it_gives_here(trained: Run) -> None:
    from transformers import AutoModelForCausalLM

    folder = trained.options.out / "model"
    ours = CodeModel.load(folder)
    encoding = ours.encode("def total(values):\n")
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    with torch.inference_mode():
        ids = torch.from_numpy(encoding.token_ids.astype("int64"))
        logits = theirs(input_ids=ids[None]).logits[0, :-1]
    expected = torch.log_softmax(logits, dim=-1).gather(1, ids[1:, None])[:, 0]
    found = ours.read(encoding, (2,), statistics=True).log_probabilities
    assert found is not None
    torch.testing.assert_close(torch.from_numpy(found[1:]), expected, atol=1e-3, rtol=1e-3)


def test_the_saved_model_has_learnt_the_corpus(trained: Run) -> None:
    model = CodeModel.load(trained.options.out / "model")
    found = model.read(model.encode(SAMPLE[:60]), (2,), statistics=True).log_probabilities

    assert found is not None and found[1:].mean() > -3


def test_an_interrupted_run_goes_on_from_its_last_checkpoint(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = replace(small_options(corpus, tmp_path), checkpoint_minutes=0.0)
    batch, steps = Streams.batch, []

    def interrupted(self: Streams, step: int, *rest: Any) -> Sequences:
        if step == 3 and 3 not in steps:
            steps.append(step)
            raise KeyboardInterrupt
        steps.append(step)
        return batch(self, step, *rest)

    monkeypatch.setattr(Streams, "batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(options)
    capsys.readouterr()

    spent = json.loads((tmp_path / "checkpoint" / "progress.json").read_text("utf-8"))["seconds"]
    train(replace(options, minutes=(spent + 0.1) / 60))

    assert "step 3," in capsys.readouterr().err
    assert steps[:5] == [0, 1, 2, 3, 3]


def test_a_run_whose_budget_is_spent_takes_no_further_step(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    before = trained.record["progress"]["step"]

    assert train(trained.options).step == before


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # torch's own tracing
def test_a_compiled_run_learns_too_and_one_compilation_serves_all_layers(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced_only = functools.partialmethod(torch.nn.Module.compile, backend="eager")  # needs no C++ compiler
    monkeypatch.setattr(torch.nn.Module, "compile", traced_only)
    torch._dynamo.reset()
    counters.clear()
    options = replace(small_options(corpus, tmp_path), micro_batch=4, compile=True)

    train(options)

    assert json.loads((tmp_path / "training.json").read_text("utf-8"))["held_out_loss"] < 4
    assert counters["stats"]["unique_graphs"] == 2  # a layer in training, and one that measures


def test_too_little_held_out_text_is_told_before_training(tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_corpus(tmp_path / "corpus", tokenizer, [document(SAMPLE * 4), document("x = 1\n", held_out=True)])

    with pytest.raises(BadInput, match="held-out tokens"):
        train(small_options(tmp_path / "corpus", tmp_path / "run"))


def test_a_loss_that_is_no_number_stops_the_run(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the loss is nan"):
        train(replace(small_options(corpus, tmp_path), rate=1e30, minutes=1))
