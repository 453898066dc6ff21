"""The decoder that numpy runs: which models it takes, and that more tokens can follow what was run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from risk_lsp.model.decoders.numpy_host import Block, NumpyHost
from risk_lsp.model.host import load_host
from risk_lsp.model.sources import locate_model

ModelFolder = Callable[..., Path]
TOKENS = np.random.default_rng(5).integers(0, 320, 60)


def load(folder: Path, **options: Any) -> NumpyHost:
    host = load_host(locate_model(folder), **{"device": "cpu", "dtype": "auto", "top_layer": None, **options})
    assert isinstance(host, NumpyHost)
    return host


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("Llama", {"hidden_act": "gelu"}),
        ("Llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}),
        ("Qwen2", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}),
        ("GPT2", {}),
    ],
)
def test_a_decoder_with_anything_unusual_is_left_to_transformers(
    tmp_path: Path, save_family: Callable[..., Path], family: str, changes: dict[str, Any]
) -> None:
    folder = locate_model(save_family(tmp_path / "model", family, **changes))

    assert not isinstance(load_host(folder, device="cpu", dtype="auto", top_layer=None), NumpyHost)


@pytest.mark.parametrize("options", [{"dtype": "bfloat16"}, {"device": "cpu:0"}])
def test_another_device_or_type_is_left_to_torch(model_folder: ModelFolder, options: dict[str, str]) -> None:
    folder = locate_model(model_folder("Llama"))
    chosen = {"device": "cpu", "dtype": "auto", **options}

    assert not isinstance(load_host(folder, top_layer=None, **chosen), NumpyHost)  # type: ignore[arg-type]


def test_a_large_model_is_left_to_torch(model_folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_lsp.model.host.MOST_BYTES_OF_NUMPY", 1000)
    folder = locate_model(model_folder("Llama"))

    assert not isinstance(load_host(folder, device="cpu", dtype="auto", top_layer=None), NumpyHost)


@pytest.mark.parametrize(
    ("family", "changes"),
    [("Llama", {"attention_bias": True, "mlp_bias": True}), ("Qwen3", {"tie_word_embeddings": True})],
)
def test_biases_and_tied_embeddings_are_those_of_transformers(
    model_folder: ModelFolder, family: str, changes: dict[str, Any]
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    folder = model_folder(family, **changes)
    with torch.inference_mode():
        expected = AutoModelForCausalLM.from_pretrained(folder)(torch.from_numpy(TOKENS)[None]).logits[0].numpy()

    host = load(folder)
    np.testing.assert_allclose(host.logits(host.run([TOKENS], (), to_end=True)[0].final), expected, atol=1e-4)


@pytest.mark.parametrize("cut", [1, 30, 59])
def test_tokens_that_follow_what_was_run_get_what_they_get_in_one_run(model_folder: ModelFolder, cut: int) -> None:
    host = load(model_folder("Qwen3"))
    whole = host.run([TOKENS], (1, 3), to_end=True)[0]
    past = host.new_past()

    (first,) = host.extend([TOKENS[:cut]], [past], (1, 3), to_end=True)
    (second,) = host.extend([TOKENS[cut:]], [past], (1, 3), to_end=True)

    np.testing.assert_allclose(np.concatenate([first.final, second.final]), whole.final, atol=1e-5)
    for layer in (1, 3):
        together = np.concatenate([first.residuals[layer], second.residuals[layer]])
        np.testing.assert_allclose(together, whole.residuals[layer], atol=1e-5)


def test_texts_that_follow_pasts_of_their_own_get_together_what_they_get_alone(model_folder: ModelFolder) -> None:
    host = load(model_folder("Qwen3"))
    texts, cuts = [TOKENS, TOKENS[10:30], TOKENS[20:]], [50, 0, 7]
    pasts = [host.new_past() for _ in texts]
    for text, cut, past in zip(texts, cuts, pasts, strict=True):
        if cut:
            host.extend([text[:cut]], [past], (3,), to_end=True)

    runs = host.extend([text[cut:] for text, cut in zip(texts, cuts, strict=True)], pasts, (3,), to_end=True)

    for text, cut, past, run in zip(texts, cuts, pasts, runs, strict=True):
        alone = host.run([text], (3,), to_end=True)[0]
        assert len(past[0]) == len(text)
        np.testing.assert_allclose(run.residuals[3], alone.residuals[3][cut:], atol=1e-5)
        np.testing.assert_allclose(run.final, alone.final[cut:], atol=1e-5)


def test_what_was_run_can_be_cut_back_and_followed_by_something_else(model_folder: ModelFolder) -> None:
    host = load(model_folder("Qwen3"))
    past = host.new_past()
    host.extend([TOKENS], [past], (), to_end=True)
    for each in past:
        each.crop(20)
    other = np.concatenate([TOKENS[:20], TOKENS[40:]])

    (followed,) = host.extend([other[20:]], [past], (), to_end=True)

    np.testing.assert_allclose(followed.final, host.run([other], (), to_end=True)[0].final[20:], atol=1e-5)


@pytest.mark.parametrize(("layers", "ran"), [((), 0), ((0,), 0), ((1,), 1), ((2, 1), 2), ((0, 3), 3)])
def test_no_block_above_the_highest_tap_runs_in_numpy(
    model_folder: ModelFolder, monkeypatch: pytest.MonkeyPatch, layers: tuple[int, ...], ran: int
) -> None:
    host, run = load(model_folder("Llama")), Block.run
    ran_blocks: list[Block] = []

    def counted(block: Block, *args: Any) -> Any:
        ran_blocks.append(block)
        return run(block, *args)

    monkeypatch.setattr(Block, "run", counted)
    host.run([TOKENS], layers, to_end=False)

    assert len(ran_blocks) == ran
