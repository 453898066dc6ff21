"""A GGUF file gives what the same model gives from a transformers folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from risk_lsp.model.code_model import CodeModel
from tests.model.gguf_files import write_gguf

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
