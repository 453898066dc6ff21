"""Every family gives the activations and statistics that transformers itself computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from risk_lsp.errors import ModelError
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.encoding import Encoding

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
