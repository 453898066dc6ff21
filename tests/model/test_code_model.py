"""Every family gives the activations and statistics that transformers itself computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from risk_lsp.errors import ModelError
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.decoders.transformers_host import TransformersHost, token_statistics
from risk_lsp.model.host import Run
from risk_lsp.model.tokenizer import Encoding
from risk_lsp.model.window_runs import plan_windows

ModelFolder = Callable[..., Path]


def first_tokens(encoding: Encoding, count: int) -> Encoding:
    return Encoding(encoding.token_ids[:count], encoding.starts[:count], encoding.ends[:count])


def reference(folder: Path, token_ids: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Residual streams [layers, tokens, width] before the final norm, and logits [tokens, vocabulary]."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    with torch.inference_mode():
        output = model(input_ids=torch.tensor([token_ids]), output_hidden_states=True, use_cache=False)
    return torch.stack(output.hidden_states)[:, 0], output.logits[0]


def test_layers_are_the_residual_stream_after_that_many_blocks(
    family: str, model_folder: ModelFolder, sample: str
) -> None:
    model = CodeModel.load(model_folder(family))
    encoding = first_tokens(model.encode(sample), 40)

    activations = model.read(encoding, (0, 1, 2))

    hidden_states, _ = reference(model_folder(family), encoding.token_ids.tolist())
    assert activations.values.shape == (40, 3, model.width)
    for layer in (0, 1, 2):
        np.testing.assert_allclose(activations.values[:, layer], hidden_states[layer].numpy(), atol=1e-4)


def test_statistics_are_those_of_the_models_own_distributions(
    family: str, model_folder: ModelFolder, sample: str
) -> None:
    model = CodeModel.load(model_folder(family))
    encoding = first_tokens(model.encode(sample), 40)

    activations = model.read(encoding, (2,), statistics=True)

    _, logits = reference(model_folder(family), encoding.token_ids.tolist())
    distribution = torch.log_softmax(logits[:-1].double(), dim=-1)
    expected = distribution.gather(-1, torch.from_numpy(encoding.token_ids[1:].astype(np.int64))[:, None])[:, 0]
    entropies = -(distribution.exp() * distribution).sum(-1)
    assert activations.log_probabilities is not None and activations.entropies is not None
    np.testing.assert_allclose(activations.log_probabilities, [0.0, *expected.tolist()], atol=1e-4)
    np.testing.assert_allclose(activations.entropies, [0.0, *entropies.tolist()], atol=1e-4)


def test_batched_reading_equals_reading_one_by_one(family: str, model_folder: ModelFolder, sample: str) -> None:
    model = CodeModel.load(model_folder(family))
    encodings = [model.encode(text) for text in (sample, "x = 1\n", "", sample[:37], "def f():\n    return 2\n")]

    together = model.read_many(encodings, (1, 3), statistics=True)

    for encoding, batched in zip(encodings, together, strict=True):
        alone = model.read(encoding, (1, 3), statistics=True)
        np.testing.assert_allclose(batched.values, alone.values, atol=1e-4)
        assert batched.log_probabilities is not None and alone.log_probabilities is not None
        np.testing.assert_allclose(batched.log_probabilities, alone.log_probabilities, atol=1e-4)


def test_loading_up_to_a_top_layer_gives_the_same_activations(
    family: str, model_folder: ModelFolder, sample: str
) -> None:
    whole = CodeModel.load(model_folder(family))
    cut = CodeModel.load(model_folder(family), top_layer=2)
    encoding = whole.encode(sample)

    np.testing.assert_allclose(cut.read(encoding, (0, 2)).values, whole.read(encoding, (0, 2)).values, atol=1e-5)
    assert cut.layer_count == whole.layer_count == 3
    with pytest.raises(ModelError, match="layer 3"):
        cut.read(encoding, (3,))
    with pytest.raises(ModelError, match="whole model"):
        cut.read(encoding, (2,), statistics=True)


@pytest.mark.parametrize(("layers", "ran"), [((0,), 0), ((1,), 1), ((2, 1), 2), ((), 0), ((0, 3), 3)])
def test_no_block_above_the_highest_tap_runs(
    torch_family: str, model_folder: ModelFolder, sample: str, layers: tuple[int, ...], ran: int
) -> None:
    model = CodeModel.load(model_folder(torch_family))
    assert isinstance(model.host, TransformersHost)
    finished: list[torch.nn.Module] = []
    for block in (blocks := model.host._blocks):
        block.register_forward_hook(lambda module, *_: finished.append(module))
    heads: list[torch.nn.Module] = []
    assert model.host._head is not None
    model.host._head.register_forward_hook(lambda module, *_: heads.append(module))

    model.read(first_tokens(model.encode(sample), 10), layers)

    assert finished == list(blocks)[:ran]
    assert heads == []


def test_an_empty_text_has_no_rows(model_folder: ModelFolder) -> None:
    model = CodeModel.load(model_folder("Llama"))

    activations = model.read(model.encode(""), (1, 2), statistics=True)

    assert activations.values.shape == (0, 2, 32)
    assert activations.log_probabilities is not None and activations.log_probabilities.shape == (0,)


def test_layers_come_in_the_order_asked_for(model_folder: ModelFolder) -> None:
    model = CodeModel.load(model_folder("Llama"))
    encoding = model.encode("x = 1\n")

    np.testing.assert_array_equal(model.read(encoding, (3, 1)).values, model.read(encoding, (1, 3)).values[:, ::-1])


def test_a_text_within_the_context_does_not_depend_on_its_boundaries(model_folder: ModelFolder, sample: str) -> None:
    model = CodeModel.load(model_folder("Llama"))
    encoding = first_tokens(model.encode(sample), 64)

    np.testing.assert_array_equal(
        model.read(encoding, (2,), boundaries=[5, 9]).values, model.read(encoding, (2,)).values
    )


def test_a_long_text_is_read_through_its_windows(model_folder: ModelFolder, sample: str) -> None:
    model = CodeModel.load(model_folder("Llama"))
    encoding = model.encode(sample * 3)
    boundaries = range(0, len(encoding), 5)

    activations = model.read(encoding, (2,), boundaries=boundaries, statistics=True)

    assert activations.log_probabilities is not None
    windows = plan_windows(encoding.token_ids, 64, boundaries)
    assert len(windows) > 3
    for start, keep, end in windows:
        part = Encoding(*(field[start:end] for field in (encoding.token_ids, encoding.starts, encoding.ends)))
        alone = model.read(part, (2,), statistics=True)
        assert alone.log_probabilities is not None
        np.testing.assert_allclose(activations.values[keep:end], alone.values[keep - start :], atol=1e-4)
        np.testing.assert_allclose(
            activations.log_probabilities[keep:end], alone.log_probabilities[keep - start :], atol=1e-4
        )


def test_a_beginning_of_text_token_is_run_and_not_reported(tmp_path: Path, save_family: Callable[..., Path]) -> None:
    folder = save_family(tmp_path / "model", "Llama", bos=True)
    model = CodeModel.load(folder)
    encoding = model.encode("x = 1\n")

    activations = model.read(encoding, (2,), statistics=True)

    hidden_states, logits = reference(folder, [0, *encoding.token_ids.tolist()])
    np.testing.assert_allclose(activations.values[:, 0], hidden_states[2][1:].numpy(), atol=1e-4)
    assert activations.log_probabilities is not None and activations.entropies is not None
    first = torch.log_softmax(logits[0], dim=-1)
    assert activations.log_probabilities[0] == pytest.approx(first[encoding.token_ids[0]].item(), abs=1e-4)
    assert activations.entropies[0] == pytest.approx(-(first.exp() * first).sum().item(), abs=1e-4)


def test_a_beginning_of_text_token_counts_towards_the_context(
    tmp_path: Path, save_family: Callable[..., Path], sample: str
) -> None:
    model = CodeModel.load(
        save_family(tmp_path / "model", "GPT2", bos=True)
    )  # absolute positions: no room for one more

    assert model.read(model.encode(sample), (3,)).values.all(axis=-1).all()


@pytest.mark.parametrize(
    ("family", "changes"), [("Granite", {"logits_scaling": 8.0}), ("Gemma2", {"final_logit_softcapping": 1.0})]
)
def test_statistics_of_a_model_that_rescales_its_logits_are_refused(
    tmp_path: Path, save_family: Callable[..., Path], family: str, changes: dict[str, float]
) -> None:
    model = CodeModel.load(save_family(tmp_path / "model", family, **changes))
    encoding = model.encode("x = 1\n")

    assert model.read(encoding, (1,)).values.any()
    with pytest.raises(ModelError, match="rescales its logits"):
        model.read(encoding, (1,), statistics=True)


def test_a_token_the_model_does_not_know_is_refused(model_folder: ModelFolder) -> None:
    model = CodeModel.load(model_folder("Llama"))
    unknown = Encoding(np.array([320], np.int32), np.array([0], np.int32), np.array([1], np.int32))

    with pytest.raises(ModelError, match="tokens its model does not know"):
        model.read(unknown, (1,))


def test_statistics_are_computed_in_pieces_of_the_vocabulary_table() -> None:
    sizes = []

    def logits(rows: torch.Tensor) -> torch.Tensor:
        sizes.append(len(rows))
        return rows @ table

    torch.manual_seed(1)
    table = torch.randn(4, 300_000)
    final, targets = torch.randn(8, 4), torch.arange(8)

    log_probabilities, entropies = token_statistics(final, targets, logits, 300_000)

    distribution = torch.log_softmax(final @ table, dim=-1)
    assert max(sizes) * 300_000 <= 1 << 20 and sum(sizes) == 8
    torch.testing.assert_close(log_probabilities, distribution[range(8), range(8)])
    torch.testing.assert_close(entropies, -(distribution.exp() * distribution).sum(-1))


def test_a_model_of_a_long_context_reads_a_long_text_in_windows_that_it_is_fitted_to(
    model_folder: ModelFolder, sample: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = CodeModel.load(model_folder("Llama", max_position_embeddings=4096))
    encoding = model.encode(sample * 30)
    assert len(encoding) > 2 * model.window
    lengths: list[int] = []
    run = model.host.run

    def counted(sequences: Sequence[NDArray[Any]], layers: Sequence[int], *, to_end: bool) -> list[Run]:
        lengths.extend(map(len, sequences))
        return run(sequences, layers, to_end=to_end)

    monkeypatch.setattr(model.host, "run", counted)
    model.read(encoding, (2,))
    assert max(lengths) <= model.window == 1024
