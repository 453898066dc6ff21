"""Adapters of a model: they change it as peft does, and one that does not fit or is damaged is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("peft", reason="peft comes with the extra for the debugger")

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from risk_lsp.errors import ModelError
from risk_lsp.model import host
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.generation import AdaptedModel
from risk_lsp.model.sources import ADAPTER_RECORD, Adapter, hash_weights
from tests.model.conftest import save_family

pytestmark = pytest.mark.filterwarnings("default")  # of peft
TOKENS = np.array([5, 6, 7, 8, 9])


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return save_family(tmp_path / "tiny", "Llama")


@pytest.fixture
def folder(base: Path, tmp_path: Path) -> Path:
    """A random adapter of the model in `base`."""
    torch.manual_seed(0)
    config = LoraConfig(r=2, lora_alpha=6, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(tmp_path / "adapter")
    record = {"base": hash_weights(base), "before": [5, 6], "after": [7]}
    (tmp_path / "adapter" / ADAPTER_RECORD).write_text(json.dumps(record))
    return tmp_path / "adapter"


def logits(model: CodeModel) -> np.ndarray[Any, Any]:
    (run,) = model.host.run([TOKENS], [], to_end=True)
    return model.host.logits(run.final)


@pytest.mark.parametrize("largest", [host.MOST_BYTES_OF_NUMPY, 0], ids=["NumpyHost", "TorchHost"])
def test_an_adapter_changes_the_logits_as_peft_does(
    base: Path, folder: Path, largest: int, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(host, "MOST_BYTES_OF_NUMPY", largest)
    plain = CodeModel.load(base, dtype="float32", threads=1)
    adapted = plain.with_adapter(Adapter.load(folder))
    reference = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), folder)
    with torch.no_grad():
        expected = reference(torch.from_numpy(TOKENS)[None]).logits[0].numpy()

    assert type(adapted.host).__name__ in request.node.name
    np.testing.assert_allclose(logits(adapted), expected, rtol=1e-3, atol=1e-4)
    assert np.abs(logits(plain) - expected).max() > 0.1


def test_a_question_stands_between_the_tokens_of_the_chat_format(base: Path, folder: Path) -> None:
    model = CodeModel.load(base, threads=1)
    answer, read = AdaptedModel(model, Adapter.load(folder)).answer(
        "x = 1", max_tokens=3, temperature=0.0, seed=1, over=lambda text: None
    )

    assert read == 2 + len(model.encode("x = 1").token_ids) + 1
    assert answer.tokens <= 3


def test_a_question_that_fills_the_context_is_refused(base: Path, folder: Path) -> None:
    model = AdaptedModel(CodeModel.load(base, threads=1), Adapter.load(folder))

    with pytest.raises(ModelError, match="leaves no room to answer") as caught:
        model.answer("x = 1\n" * 200, max_tokens=3, temperature=0.0, seed=1, over=lambda text: None)
    assert caught.value.hint == "move what is to be repaired into a smaller file"


def test_an_adapter_of_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    other = CodeModel.load(save_family(tmp_path / "other", "Qwen2"), threads=1)

    with pytest.raises(ModelError, match="the adapter adapter was trained on a model with the hash sha256:") as caught:
        other.with_adapter(Adapter.load(folder))
    assert caught.value.hint == (
        "choose a bundle with that model, or train an adapter on this one: risk-lsp debugger train"
    )


def cut_short(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-7])


def lose_a_factor(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    tensors.popitem()
    save_file(tensors, file)


def break_a_number(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    next(iter(tensors.values()))[0, 0] = np.nan
    save_file(tensors, file)


def grow_a_factor(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    name = next(name for name in tensors if "lora_B" in name)
    save_file({**tensors, name: np.vstack([tensors[name]] * 2)}, file)


def change_the_kind(folder: Path) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "use_dora": True}))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_short, "the adapter adapter cannot be read"),
        (lose_a_factor, "the adapter adapter lacks a part of model.layers"),
        (break_a_number, "holds numbers that are not finite"),
        (grow_a_factor, "which is not the model's"),
        (change_the_kind, "adapter is no plain LoRA adapter"),
        (lambda folder: (folder / ADAPTER_RECORD).write_text("{}"), "does not say what it was trained on"),
        (lambda folder: (folder / ADAPTER_RECORD).unlink(), "of adapter cannot be read"),
    ],
)
def test_a_damaged_adapter_is_refused(base: Path, folder: Path, damage: Callable[[Path], Any], words: str) -> None:
    damage(folder)

    with pytest.raises(ModelError, match=words) as caught:
        CodeModel.load(base, threads=1).with_adapter(Adapter.load(folder))
    assert caught.value.hint
