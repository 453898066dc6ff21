"""`train derive` takes a folder or a GGUF file, and says what its model came from."""

import json
from argparse import ArgumentParser
from pathlib import Path

import gguf
import numpy as np
import pytest
from tokenizers import Tokenizer

from risk_lsp.errors import BadInput
from risk_lsp.lab.deriving import derivation
from risk_lsp.lab.training.training_files import read_training_record
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.sources import hash_weights, locate_model, read_weights
from tests.model.conftest import SAMPLE, save_family
from tests.model.gguf_files import write_gguf


def derive(out: Path, model: Path, *options: str) -> Path:
    parser = ArgumentParser()
    derivation.add_derive_arguments(parser)
    derivation.run_derive(parser.parse_args([str(out), "--model", str(model), *options]))
    return out


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "sample.py"
    path.write_text(SAMPLE)
    return path


@pytest.fixture(scope="module", params=["Llama", "Qwen2", "Qwen3"])
def origin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_family(tmp_path_factory.mktemp("origin") / "tiny", request.param, intermediate_size=64)


@pytest.mark.parametrize(
    ("kind", "tolerance"), [(gguf.GGMLQuantizationType.F32, 0.0), (gguf.GGMLQuantizationType.Q8_0, 0.015)]
)
def test_a_gguf_file_gives_the_model_that_its_safetensors_give(
    origin: Path, text: Path, tmp_path: Path, kind: gguf.GGMLQuantizationType, tolerance: float
) -> None:
    options = ("--layers", "1", "--texts", str(text), "--at-least", "1")
    expected = derive(tmp_path / "of_folder", origin, *options)
    found = derive(tmp_path / "of_gguf", write_gguf(origin, tmp_path / "tiny.gguf", kind=kind), *options)
    tensors, of_folder = read_weights(locate_model(found)), read_weights(locate_model(expected))
    assert tensors.keys() == of_folder.keys()
    for name, values in of_folder.items():
        np.testing.assert_allclose(tensors[name], values, atol=tolerance * np.abs(values).max(), err_msg=name)


def test_a_model_of_a_gguf_file_is_read_by_transformers_as_by_this_project(origin: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    out = derive(tmp_path / "out", write_gguf(origin, tmp_path / "tiny.gguf"))
    own = CodeModel.load(out)
    encoding = own.encode(SAMPLE[:80])  # which one window holds
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    with torch.inference_mode():
        hidden = model(torch.from_numpy(encoding.token_ids[None]), output_hidden_states=True).hidden_states[1][0]
    np.testing.assert_allclose(own.read(encoding, [1]).values[:, 0], hidden, atol=1e-5)


def test_weights_are_written_in_bfloat16(tmp_path: Path) -> None:
    from safetensors import safe_open

    out = derive(tmp_path / "out", save_family(tmp_path / "tiny", "Llama"))
    with safe_open(next(out.glob("*.safetensors")), framework="pt") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"BF16"}  # noqa: SIM118


def test_the_token_that_belongs_before_texts_is_kept_under_its_new_number(text: Path, tmp_path: Path) -> None:
    folder = save_family(tmp_path / "tiny", "Llama")
    settings = {"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.bos_token_id": 319}
    last = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    file = write_gguf(folder, tmp_path / "tiny.gguf", settings=settings)
    out = derive(tmp_path / "out", file, "--texts", str(text), "--at-least", "1000000")
    prefix = CodeModel.load(out).tokenizer.prefix
    assert [Tokenizer.from_file(str(out / "tokenizer.json")).id_to_token(each) for each in prefix] == [
        next(token for token, number in last.items() if number == 319)
    ]


def test_the_record_names_the_origin_and_what_was_kept_of_it(text: Path, tmp_path: Path) -> None:
    folder = save_family(tmp_path / "tiny", "Llama")
    file = write_gguf(folder, tmp_path / "tiny.gguf", settings={"general.license": "apache-2.0"})
    out = derive(tmp_path / "out", file, "--layers", "1", "--texts", str(text), "--at-least", "1")
    assert read_training_record(out)["derived_from"] == {
        "name": "tiny",
        "licence": "apache-2.0",
        "weights_hash": hash_weights(file),
        "layers": 1,
        "vocabulary": CodeModel.load(out).vocabulary_size,
    }


def test_a_model_that_is_derived_again_names_what_the_first_was_derived_from(tmp_path: Path) -> None:
    origin = save_family(tmp_path / "tiny", "Llama")
    first = derive(tmp_path / "first", origin, "--licence", "MIT")
    record = {**read_training_record(first), "tuned": {"epochs": 2}}
    (first / "training.json").write_text(json.dumps(record))
    second = read_training_record(derive(tmp_path / "second", first, "--layers", "1", "--eight-bits"))
    assert second == {"tuned": {"epochs": 2}, "derived_from": {**record["derived_from"], "layers": 1}}


def test_a_licence_that_is_not_known_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = derive(tmp_path / "out", save_family(tmp_path / "tiny", "Llama"))
    assert read_training_record(out)["derived_from"]["licence"] is None
    assert "--licence" in capsys.readouterr().err


def test_what_was_derived_before_into_the_same_folder_is_replaced(tmp_path: Path) -> None:
    origin = save_family(tmp_path / "tiny", "Llama")
    derive(tmp_path / "again", origin)
    assert hash_weights(derive(tmp_path / "again", origin, "--layers", "1")) == hash_weights(
        derive(tmp_path / "fresh", origin, "--layers", "1")
    )


def test_a_model_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nothing can be derived"):
        derive(tmp_path / "out", save_family(tmp_path / "other", "GPTNeoX"))
