"""Real GGUF files, of the folder that RISK_LSP_GGUF names in the environment, give what transformers makes of them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.gguf_file import GgufFile

FOLDER = os.environ.get("RISK_LSP_GGUF")
FILES = sorted(Path(FOLDER).glob("*.gguf")) if FOLDER else []
TEXT = '''def mean(values: list[float]) -> float:
    """The mean of 12345 values, or of none: naïve, 日本語, 🙂."""
    if not values:
        return 0.0

    total = sum(values)  # \t three  spaces
    return total / len(values) * 1_000e-3
'''

pytestmark = pytest.mark.skipif(
    not FOLDER, reason="no real GGUF files: set RISK_LSP_GGUF to a folder that has some of Llama, Qwen2 or Qwen3 models"
)
each_file = pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)


def test_the_folder_has_files() -> None:
    assert FILES, f"{FOLDER} has no *.gguf"


@each_file
def test_tokens_cover_a_text_and_give_it_back(file: Path) -> None:
    model = CodeModel.load(file, top_layer=0)
    encoding = model.encode(TEXT)
    assert model.tokenizer.decode(encoding.token_ids.tolist()) == TEXT
    assert encoding.starts[0] == 0 and encoding.ends[-1] == len(TEXT)
    assert len(encoding) < len(TEXT) / 2


@each_file
def test_tokens_are_those_of_transformers(file: Path) -> None:
    from transformers import AutoTokenizer

    if GgufFile(file).metadata["tokenizer.ggml.pre"] != "qwen2":
        pytest.skip("of byte-level tokenizers in GGUF files, transformers knows that of Qwen2 alone")
    theirs = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = CodeModel.load(file, top_layer=0)
    assert model.encode(TEXT).token_ids.tolist() == theirs(TEXT, add_special_tokens=False).input_ids


@each_file
def test_activations_are_those_of_transformers(file: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = CodeModel.load(file, dtype="float32")
    layers = (0, 1, model.layer_count // 2, model.layer_count - 1)
    encoding = model.encode(TEXT)
    found = model.read(encoding, layers, statistics=True)
    del model
    theirs = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).eval()
    ids = torch.from_numpy(encoding.token_ids.astype(np.int64))
    with torch.inference_mode():
        output = theirs(input_ids=ids[None], output_hidden_states=True, use_cache=False)
    for column, layer in enumerate(layers):
        expected = output.hidden_states[layer][0].numpy()
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found.values[:, column] / scale, expected / scale, atol=1e-4, err_msg=str(layer))
    expected_logs = output.logits[0, :-1].log_softmax(-1)[torch.arange(len(ids) - 1), ids[1:]]
    assert found.log_probabilities is not None
    np.testing.assert_allclose(found.log_probabilities[1:], expected_logs, atol=0.02)


@each_file
def test_activations_in_bfloat16_point_the_same_way(file: Path) -> None:
    exact, short = (CodeModel.load(file, dtype=dtype) for dtype in ("float32", "bfloat16"))
    layer = exact.layer_count // 2
    encoding = exact.encode(TEXT)
    a, b = (model.read(encoding, (layer,)).values[:, 0] for model in (exact, short))
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosines.min() > 0.99
