"""A small model derived from a larger one reads texts as its origin does, as far as it was kept."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from risk_lsp.errors import BadInput, ModelError
from risk_lsp.lab.deriving.derivation import (
    Tensors,
    cut_tokenizer,
    cut_vocabulary,
    in_eight_bits,
    lowest_layers,
    used_tokens,
    write_model,
)
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.sources import SCALES, locate_model, read_weights
from risk_lsp.probe.manifest import default_bundle_path

TEXT = "def mean(values):\n    return sum(values) / len(values)\n"
ODD = "naïve = '日本' * 3_000  # ½\n"


@pytest.fixture(scope="module")
def origin() -> Path:
    return default_bundle_path() / "model"


@pytest.fixture(scope="module")
def tokenizer(origin: Path) -> Tokenizer:
    return Tokenizer.from_file(str(origin / "tokenizer.json"))


def _read(folder: Path) -> tuple[dict[str, object], Tensors]:
    return json.loads((folder / "config.json").read_text()), dict(read_weights(locate_model(folder)))


def test_the_lowest_layers_give_what_they_give_inside_of_the_whole_model(
    origin: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    write_model(tmp_path, *lowest_layers(*_read(origin), 2), tokenizer)
    whole, part = CodeModel.load(origin), CodeModel.load(tmp_path)
    assert part.layer_count == 2
    np.testing.assert_allclose(
        part.read(part.encode(TEXT), [1, 2]).values, whole.read(whole.encode(TEXT), [1, 2]).values, atol=1e-5
    )


def test_a_model_that_lost_its_upper_layers_has_no_head(origin: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    write_model(tmp_path, *lowest_layers(*_read(origin), 2), tokenizer)
    assert CodeModel.load(origin).host.has_head
    assert not CodeModel.load(tmp_path).host.has_head


def test_more_layers_than_there_are_are_refused(origin: Path) -> None:
    with pytest.raises(BadInput, match="99 layers"):
        lowest_layers(*_read(origin), 99)


@pytest.mark.parametrize("text", [TEXT, ODD])
def test_a_cut_tokenizer_still_reads_every_text(tokenizer: Tokenizer, text: str) -> None:
    cut = cut_tokenizer(tokenizer, used_tokens(tokenizer, [TEXT], 1))
    assert cut.get_vocab_size() < tokenizer.get_vocab_size()
    assert cut.decode(cut.encode(text, add_special_tokens=False).ids) == text


def test_texts_whose_tokens_are_all_kept_are_cut_into_the_same_tokens(tokenizer: Tokenizer) -> None:
    cut = cut_tokenizer(tokenizer, used_tokens(tokenizer, [TEXT], 1))
    assert cut.encode(TEXT).tokens == tokenizer.encode(TEXT).tokens


def test_a_model_with_a_cut_vocabulary_gives_the_same_activations(
    origin: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    kept = used_tokens(tokenizer, [TEXT], 1)
    write_model(tmp_path, *cut_vocabulary(*_read(origin), kept), cut_tokenizer(tokenizer, kept))
    whole, cut = CodeModel.load(origin), CodeModel.load(tmp_path)
    assert cut.vocabulary_size == len(kept)
    np.testing.assert_allclose(
        cut.read(cut.encode(TEXT), [4]).values, whole.read(whole.encode(TEXT), [4]).values, atol=1e-5
    )


def test_eight_bits_are_close_to_what_they_stand_for(origin: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    config, weights = _read(origin)
    write_model(tmp_path, config, in_eight_bits(weights), tokenizer)
    found = read_weights(locate_model(tmp_path))
    assert found.keys() == weights.keys()
    for name, tensor in weights.items():
        assert np.abs(found[name] - tensor).max() <= np.abs(tensor).max() / 127, name


def test_eight_bits_take_little_more_than_a_byte_a_number(origin: Path) -> None:
    weights = _read(origin)[1]
    kept = in_eight_bits(weights)
    assert sum(each.nbytes for each in kept.values()) < 1.05 * sum(each.size for each in weights.values())


@pytest.mark.parametrize("scales", [None, (3, 1), (4, 3)])
def test_eight_bits_without_scales_that_fit_are_refused(
    origin: Path, tokenizer: Tokenizer, tmp_path: Path, scales: tuple[int, int] | None
) -> None:
    tensors: Tensors = {"a": np.ones((4, 8), np.int8)}
    if scales:
        tensors["a" + SCALES] = np.ones(scales, np.float32)
    write_model(tmp_path, json.loads((origin / "config.json").read_text()), tensors, tokenizer)
    with pytest.raises(ModelError, match="scales"):
        read_weights(locate_model(tmp_path))
