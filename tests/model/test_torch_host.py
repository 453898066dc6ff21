"""The decoder that torch runs without transformers: what it does without, and what its number types cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from risk_lsp.errors import ModelError, WorkerError
from risk_lsp.model.cores import cancellable
from risk_lsp.model.decoders import torch_weights
from risk_lsp.model.decoders.numpy_host import NumpyHost
from risk_lsp.model.decoders.torch_block import Linear, TorchBlock
from risk_lsp.model.decoders.torch_host import TorchHost
from risk_lsp.model.decoders.torch_weights import fast_number_type, product_type
from risk_lsp.model.host import load_host
from risk_lsp.model.sources import SCALES, locate_model

ModelFolder = Callable[..., Path]
TOKENS = np.random.default_rng(5).integers(0, 320, 300)
CPU = torch.device("cpu")
widening = pytest.mark.skipif(
    product_type(torch.float16, CPU) != torch.float32, reason="torch has no products of float32 with float16 here"
)


def load(folder: Path, **options: Any) -> TorchHost:
    chosen = {"device": "cpu:0", "dtype": "float32", "top_layer": None, **options}
    host = load_host(locate_model(folder), **chosen)
    assert isinstance(host, TorchHost)
    return host


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("Llama", {"tie_word_embeddings": True}),
        ("Llama", {"attention_bias": True, "mlp_bias": True}),
        ("Llama", {"num_key_value_heads": 4}),
        ("Llama", {"num_key_value_heads": 1, "head_dim": 16}),
        ("Llama", {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e4}}),
        (
            "Llama",
            {
                "rope_parameters": {
                    "rope_type": "llama3",
                    "rope_theta": 1e4,
                    "factor": 8.0,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 16,
                }
            },
        ),
    ],
)
def test_what_a_plain_config_may_say_is_honoured_as_transformers_does(
    tmp_path: Path, save_family: Callable[..., Path], family: str, changes: dict[str, Any]
) -> None:
    from transformers import AutoModelForCausalLM

    folder = save_family(tmp_path / "model", family, **changes)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    with torch.inference_mode():
        expected = model(input_ids=torch.from_numpy(TOKENS[None, :60]), output_hidden_states=True)
    host = load(folder)

    (run,) = host.run([TOKENS[:60]], [0, 2], to_end=True)

    for layer in (0, 2):
        np.testing.assert_allclose(run.residuals[layer], expected.hidden_states[layer][0].numpy(), atol=1e-4)
    np.testing.assert_allclose(host.logits(run.final), expected.logits[0].numpy(), atol=1e-3)


@pytest.mark.parametrize("family", ["Llama", "Qwen2", "Qwen3"])
def test_bfloat16_stays_close_to_float32_in_texts_of_any_length(model_folder: ModelFolder, family: str) -> None:
    exact, coarse = (load(model_folder(family), dtype=dtype) for dtype in ("float32", "bfloat16"))
    sequences = [TOKENS[:length] for length in (1, 31, 64, 65, 200)]

    pairs = zip(exact.run(sequences, [3], to_end=False), coarse.run(sequences, [3], to_end=False), strict=True)

    for expected, found in pairs:
        difference = np.linalg.norm(found.residuals[3] - expected.residuals[3])
        assert difference < 0.03 * np.linalg.norm(expected.residuals[3])


@widening
@pytest.mark.parametrize("family", ["Llama", "Qwen2", "Qwen3"])
def test_weights_kept_in_float16_move_little(model_folder: ModelFolder, family: str) -> None:
    exact, kept = (load(model_folder(family), dtype=dtype) for dtype in ("float32", "float16"))
    sequences = [TOKENS[:length] for length in (1, 31, 64, 65, 200)]

    pairs = zip(exact.run(sequences, [3], to_end=True), kept.run(sequences, [3], to_end=True), strict=True)

    assert kept.dtype == "float16"
    for expected, found in pairs:
        assert found.residuals[3].dtype == np.float32
        difference = np.linalg.norm(found.residuals[3] - expected.residuals[3])
        assert difference < 0.001 * np.linalg.norm(expected.residuals[3])
        logits = exact.logits(expected.final)
        assert np.abs(kept.logits(found.final) - logits).max() < 0.003 * np.abs(logits).max()


@widening
def test_only_weights_are_rounded_to_float16() -> None:
    weight, rows, bias = torch.rand(70, 50) - 0.5, 1e6 * torch.rand(9, 50), 1e6 * torch.rand(70)
    halves = weight.half()

    found = Linear(halves, bias)(rows)

    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.nn.functional.linear(rows, halves.float(), bias), rtol=1e-5, atol=1.0)


@widening
@pytest.mark.parametrize(("seconds_of_bfloat16", "chosen"), [(0.5, torch.bfloat16), (0.9, torch.float16)])
def test_weights_are_kept_in_float16_unless_products_in_bfloat16_are_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, seconds_of_bfloat16: float, chosen: torch.dtype
) -> None:
    seconds = {torch.bfloat16: seconds_of_bfloat16, torch.float32: 1.0}
    monkeypatch.setattr(torch_weights, "_seconds_of_a_product", lambda device, kind: seconds[kind])

    assert fast_number_type.__wrapped__(CPU) == chosen


def test_without_products_for_float16_weights_they_are_kept_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_weights, "_widens_halves", lambda: False)
    monkeypatch.setattr(torch_weights, "_seconds_of_a_product", lambda device, kind: 1.0)

    assert fast_number_type.__wrapped__(CPU) == torch.float32
    assert product_type(torch.float16, CPU) == torch.float16
    assert product_type(torch.float16, torch.device("cuda")) == torch.float16


def test_residual_streams_are_float32_whatever_the_weights_are(model_folder: ModelFolder) -> None:
    (run,) = load(model_folder("Llama"), dtype="bfloat16").run([TOKENS[:9]], [1], to_end=False)

    assert run.residuals[1].dtype == np.float32
    assert (run.residuals[1] != run.residuals[1].astype(np.float16)).any()


@pytest.mark.parametrize(("layers", "ran"), [((0,), 0), ((1,), 1), ((2, 1), 2), ((), 0), ((0, 3), 3)])
def test_no_block_above_the_highest_tap_runs_and_no_head(
    model_folder: ModelFolder, monkeypatch: pytest.MonkeyPatch, layers: tuple[int, ...], ran: int
) -> None:
    host = load(model_folder("Llama"))
    blocks: list[TorchBlock] = []
    run = TorchBlock.run

    def noted(block: TorchBlock, *given: Any) -> torch.Tensor:
        blocks.append(block)
        return run(block, *given)

    monkeypatch.setattr(TorchBlock, "run", noted)

    (found,) = host.run([TOKENS[:10]], layers, to_end=False)

    assert blocks == host._blocks[:ran]
    assert found.final is None
    assert set(found.residuals) == set(layers)


def test_texts_that_fill_several_batches_get_what_they_get_alone(model_folder: ModelFolder) -> None:
    host = load(model_folder("Qwen2"))
    sequences = [TOKENS[first:] for first in range(0, 300, 20)]

    together = host.run(sequences, [3], to_end=False)

    for sequence, run in zip(sequences, together, strict=True):
        (alone,) = host.run([sequence], [3], to_end=False)
        np.testing.assert_allclose(run.residuals[3], alone.residuals[3], atol=1e-4)


@pytest.mark.parametrize("cut", [1, 31, 32, 150, 299])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", pytest.param("float16", marks=widening)])
def test_tokens_that_follow_what_was_run_get_what_they_get_in_one_run(
    model_folder: ModelFolder, cut: int, dtype: str
) -> None:
    host = load(model_folder("Qwen3"), dtype=dtype)
    past = host.new_past()

    host.extend([TOKENS[:cut]], [past], [3], to_end=False)
    kept = past.first(cut)
    (rest,) = host.extend([TOKENS[cut:]], [past], [3], to_end=False)
    (again,) = host.extend([TOKENS[cut:]], [kept], [3], to_end=False)

    (whole,) = host.run([TOKENS], [3], to_end=False)
    expected = whole.residuals[3][cut:]
    tolerance = 1e-4 if dtype != "bfloat16" else 0.03 * np.abs(expected).max()
    np.testing.assert_allclose(rest.residuals[3], expected, atol=tolerance)
    np.testing.assert_array_equal(again.residuals[3], rest.residuals[3])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", pytest.param("float16", marks=widening)])
def test_texts_that_follow_pasts_of_their_own_get_together_what_they_get_alone(
    model_folder: ModelFolder, dtype: str
) -> None:
    host = load(model_folder("Qwen3"), dtype=dtype)
    texts, cuts = [TOKENS, TOKENS[40:90], TOKENS[200:]], [270, 0, 64]
    pasts = [host.new_past() for _ in texts]
    for text, cut, past in zip(texts, cuts, pasts, strict=True):
        if cut:
            host.extend([text[:cut]], [past], [3], to_end=True)

    runs = host.extend([text[cut:] for text, cut in zip(texts, cuts, strict=True)], pasts, [3], to_end=True)

    assert [len(past) for past in pasts] == [len(text) for text in texts]
    for text, cut, run in zip(texts, cuts, runs, strict=True):
        expected = host.run([text], [3], to_end=True)[0].residuals[3][cut:]
        tolerance = 1e-4 if dtype != "bfloat16" else 0.03 * np.abs(expected).max()
        np.testing.assert_allclose(run.residuals[3], expected, atol=tolerance)


def test_rows_that_outgrow_their_room_go_on_as_if_alone(model_folder: ModelFolder) -> None:
    host = load(model_folder("Llama", max_position_embeddings=1024))
    decoding = host.begin([TOKENS[:5], TOKENS[:40]])

    for token in TOKENS[40:240]:
        decoding.advance([0, 1], np.array([token, token]))

    for row, length in enumerate((5, 40)):
        (run,) = host.run([np.concatenate([TOKENS[:length], TOKENS[40:240]])], [], to_end=True)
        np.testing.assert_allclose(decoding.logits[row], host.logits(run.final[-1:])[0], atol=1e-3)


def test_a_large_vocabulary_gives_the_same_statistics_part_by_part(model_folder: ModelFolder) -> None:
    host = load(model_folder("Llama", vocab_size=20_000))
    (run,) = host.run([TOKENS], [], to_end=True)

    log_probabilities, entropies = host.statistics(run.final[:-1], TOKENS[1:])

    spread = torch.log_softmax(torch.from_numpy(host.logits(run.final[:-1])).double(), dim=-1)
    expected = spread.gather(1, torch.from_numpy(TOKENS[1:, None]))[:, 0]
    np.testing.assert_allclose(log_probabilities, expected.numpy(), atol=1e-4)
    np.testing.assert_allclose(entropies, -(spread.exp() * spread).sum(dim=1).numpy(), atol=1e-4)


def test_a_run_that_nobody_waits_for_ends_between_blocks(model_folder: ModelFolder) -> None:
    host, asked = load(model_folder("Llama")), iter([False, False, True])

    with cancellable(lambda: next(asked)), pytest.raises(WorkerError, match="cancelled"):
        host.run([TOKENS[:10]], [3], to_end=False)


def test_a_host_without_its_head_says_so(model_folder: ModelFolder) -> None:
    host = load(model_folder("Llama"), top_layer=2)

    with pytest.raises(ModelError, match="whole model"):
        host.begin([TOKENS[:3]])


def test_matrices_in_eight_bits_give_what_numpy_makes_of_them(tmp_path: Path, save_family: Callable[..., Path]) -> None:
    folder = save_family(tmp_path / "model", "Llama")
    _keep_in_eight_bits(folder / "model.safetensors", groups=4)
    by_numpy = load_host(locate_model(folder), device="cpu", dtype="float32", top_layer=None)
    assert isinstance(by_numpy, NumpyHost)

    (first,), (second,) = (host.run([TOKENS[:60]], [0, 3], to_end=False) for host in (by_numpy, load(folder)))

    for layer in (0, 3):
        np.testing.assert_allclose(first.residuals[layer], second.residuals[layer], atol=1e-4)


def test_eight_bits_without_scales_that_fit_are_refused(tmp_path: Path, save_family: Callable[..., Path]) -> None:
    folder = save_family(tmp_path / "model", "Llama")
    _keep_in_eight_bits(folder / "model.safetensors", groups=3)

    with pytest.raises(ModelError, match="do not divide"):
        load(folder)


def _keep_in_eight_bits(path: Path, groups: int) -> None:
    tensors = load_file(path)
    for name, values in list(tensors.items()):
        if values.ndim == 2:
            scale = np.abs(values).max() / 127
            tensors[name] = np.round(values / scale).astype(np.int8)
            tensors[name + SCALES] = np.full((len(values), groups), scale, np.float32)
    save_file(tensors, path, {"format": "pt"})


def test_numpy_and_torch_give_the_same_numbers(model_folder: ModelFolder) -> None:
    by_numpy = load_host(locate_model(model_folder("Qwen3")), device="cpu", dtype="float32", top_layer=None)
    assert isinstance(by_numpy, NumpyHost)

    (first,), (second,) = (
        host.run([TOKENS[:60]], [3], to_end=False) for host in (by_numpy, load(model_folder("Qwen3")))
    )

    np.testing.assert_allclose(first.residuals[3], second.residuals[3], atol=1e-4)
