"""A GGUF file gives what the same model gives from a transformers folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf import quants
from safetensors.numpy import load_file, save_file

from risk_lsp.model.code_model import CodeModel
from tests.model.gguf_files import quantised, write_gguf

ModelFolder = Callable[..., Path]
PLAIN = ("Llama", "Qwen2", "Qwen3")


@pytest.mark.parametrize("family", PLAIN)
def test_a_gguf_file_gives_the_activations_and_statistics_of_the_folder_it_was_made_of(
    family: str, model_folder: ModelFolder, tmp_path: Path, sample: str
) -> None:
    folder = CodeModel.load(model_folder(family))
    file = CodeModel.load(write_gguf(model_folder(family), tmp_path / "model.gguf"), dtype="float32")

    expected = folder.read(folder.encode(sample), (0, 2, 3), statistics=True)
    found = file.read(file.encode(sample), (0, 2, 3), statistics=True)

    np.testing.assert_array_equal(found.encoding.token_ids, expected.encoding.token_ids)
    np.testing.assert_allclose(found.values, expected.values, atol=1e-4)
    assert found.log_probabilities is not None and expected.log_probabilities is not None
    np.testing.assert_allclose(found.log_probabilities, expected.log_probabilities, atol=1e-4)


@pytest.mark.parametrize("kind", [Kind.F16, Kind.BF16, Kind.Q8_0, Kind.Q5_1, Kind.Q4_0, Kind.Q4_1, Kind.Q4_K])
@pytest.mark.parametrize("family", ["Llama", "Qwen2"])
def test_numbers_of_few_bits_are_read_as_what_they_stand_for(
    family: str,
    kind: Kind,
    save_family: Callable[..., Path],
    tmp_path: Path,
    sample: str,
) -> None:
    origin = save_family(tmp_path / "origin", family, hidden_size=256, intermediate_size=256)
    file = CodeModel.load(write_gguf(origin, tmp_path / "model.gguf", kind=kind), dtype="float32")
    weights = load_file(origin / "model.safetensors")
    for name, values in weights.items():
        if values.ndim == 2:
            weights[name] = quants.dequantize(quantised(values, kind), kind).astype(np.float32)
            assert np.abs(weights[name] - values).max() < 0.15 * np.abs(values).max(), name
    save_file(weights, origin / "model.safetensors", metadata={"format": "pt"})
    folder = CodeModel.load(origin)

    expected = folder.read(folder.encode(sample), (1, 3))
    found = file.read(file.encode(sample), (1, 3))

    np.testing.assert_allclose(found.values, expected.values, atol=1e-3)
