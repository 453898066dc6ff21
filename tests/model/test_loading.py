"""Only what is safe and complete is loaded, and a refusal says why and what to do."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from risk_lsp.errors import ModelError
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.sources import hash_files

ModelFolder = Callable[..., Path]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Refuses every connection and name look-up, and lists the attempts."""
    attempts: list[Any] = []

    def refuse(*args: Any, **_: Any) -> Any:
        attempts.append(args)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return attempts


@pytest.fixture
def empty_hub_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The hub client's cache, with nothing in it."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def cache_snapshot(
    cache: Path, name: str, files: Path, commit: str = "0123456789abcdef0123456789abcdef01234567"
) -> str:
    """Lay out `files` in a hub cache as a finished download of the main revision."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "snapshots").mkdir(parents=True)
    (repository / "snapshots" / commit).symlink_to(files)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    return commit


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_local_model_is_loaded_and_run_without_the_network(
    model_folder: ModelFolder, no_network: list[Any], sample: str
) -> None:
    model = CodeModel.load(model_folder("Llama"), offline=False)

    assert model.read(model.encode(sample), (1,)).values.any()
    assert no_network == []


def test_a_missing_hub_model_is_refused_offline_without_the_network(
    no_network: list[Any], empty_hub_cache: Path
) -> None:
    with pytest.raises(ModelError, match="owner/absent is not on this machine") as caught:
        CodeModel.load("owner/absent")

    assert "hf download owner/absent" in caught.value.hint
    assert no_network == []


def test_a_hub_model_that_is_in_the_cache_is_loaded_offline(
    model_folder: ModelFolder, no_network: list[Any], empty_hub_cache: Path
) -> None:
    commit = cache_snapshot(empty_hub_cache, "owner/model", model_folder("Llama"))

    model = CodeModel.load("owner/model")

    assert (model.name, model.revision) == ("owner/model", commit)
    assert no_network == []


@pytest.mark.usefixtures("no_network", "empty_hub_cache")
def test_a_download_that_fails_names_the_model() -> None:
    with pytest.raises(ModelError, match="owner/absent"):
        CodeModel.load("owner/absent", offline=False)


@pytest.mark.usefixtures("empty_hub_cache")
def test_a_folder_that_looks_like_the_hub_id_is_never_taken_for_it(
    model_folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "owner").mkdir()
    (tmp_path / "owner" / "model").symlink_to(model_folder("Llama"))
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ModelError, match="both a folder here and the form of a hub id"):
        CodeModel.load("owner/model")
    with pytest.raises(ModelError, match="not on this machine"):
        CodeModel.load("hub:owner/model")
    assert CodeModel.load("./owner/model").revision is None
    assert CodeModel.load(Path("owner/model")).revision is None


@pytest.mark.parametrize("source", ["./absent", "/absent/model", "~/absent-model", Path("owner/absent")])
def test_a_missing_folder_is_never_looked_up_on_the_hub(source: str | Path, no_network: list[Any]) -> None:
    with pytest.raises(ModelError, match="there is no model folder"):
        CodeModel.load(source, offline=False)

    assert no_network == []


def test_the_home_folder_of_nobody_is_told() -> None:
    with pytest.raises(ModelError, match="home folder that is not there"):
        CodeModel.load("~nobody-of-this-name/model")


def test_weights_that_are_only_pickled_are_refused(fresh_model: Path) -> None:
    (fresh_model / "model.safetensors").rename(fresh_model / "pytorch_model.bin")

    with pytest.raises(ModelError, match=r"pickle \(pytorch_model\.bin\)") as caught:
        CodeModel.load(fresh_model)

    assert "safetensors" in caught.value.hint


def test_a_pickle_beside_safetensors_is_never_opened(fresh_model: Path) -> None:
    witness = fresh_model / "ran"
    (fresh_model / "pytorch_model.bin").write_bytes(f"cos\nsystem\n(S'touch {witness}'\ntR.".encode())

    CodeModel.load(fresh_model)

    assert not witness.exists()


def test_a_model_that_needs_its_own_code_is_refused_and_the_code_not_run(fresh_model: Path) -> None:
    edit_json(fresh_model / "config.json", model_type="homemade", auto_map={"AutoConfig": "code.Config"})
    (fresh_model / "code.py").write_text(f"open({str(fresh_model / 'ran')!r}, 'w')")

    with pytest.raises(ModelError, match="such code is never run"):
        CodeModel.load(fresh_model)

    assert not (fresh_model / "ran").exists()


def test_code_beside_a_model_of_a_known_type_is_not_run(fresh_model: Path) -> None:
    code = {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model", "AutoTokenizer": ["code.T", "code.T"]}
    edit_json(fresh_model / "config.json", auto_map=code)
    (fresh_model / "code.py").write_text(f"open({str(fresh_model / 'ran')!r}, 'w')")

    CodeModel.load(fresh_model)

    assert not (fresh_model / "ran").exists()


def test_a_config_cannot_ask_for_an_attention_kernel_of_the_hub(fresh_model: Path, no_network: list[Any]) -> None:
    edit_json(
        fresh_model / "config.json", attn_implementation="owner/kernel", _attn_implementation_internal="owner/kernel"
    )

    CodeModel.load(fresh_model, offline=False)

    assert no_network == []


def test_a_context_without_bounds_takes_no_memory(fresh_model: Path) -> None:
    edit_json(fresh_model / "config.json", max_position_embeddings=1_054_955_707_578)

    model = CodeModel.load(fresh_model)

    assert len(model.read(model.encode("a = 1\n"), [0]).values) == len(model.encode("a = 1\n"))


def spoil_type(folder: Path) -> None:
    edit_json(folder / "config.json", model_type="homemade")


def spoil_type_itself(folder: Path) -> None:
    edit_json(folder / "config.json", model_type=["homemade"])


def spoil_rope(folder: Path) -> None:
    edit_json(folder / "config.json", rope_parameters=["default"], rope_scaling=["default"])


def spoil_layer_types(folder: Path) -> None:
    edit_json(folder / "config.json", layer_types=7)


def spoil_kind(folder: Path) -> None:
    edit_json(folder / "config.json", model_type="vit")


def spoil_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def spoil_value(folder: Path) -> None:
    edit_json(folder / "config.json", hidden_size="wide")


def remove_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def remove_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def truncate_weights(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])


def remove_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def reshape_a_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"] = torch.zeros(3, 3)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def add_an_adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "owner/model"}))


def shard_elsewhere(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "shard.safetensors")
    index = {"weight_map": {"lm_head.weight": "../shard.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def shard_missing(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "shard.safetensors")
    index = {"weight_map": {"lm_head.weight": "shard-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (spoil_type, "unknown type 'homemade'"),
        (spoil_type_itself, r"unknown type \['homemade'\]"),
        (spoil_rope, "config.json of .* is not valid"),
        (spoil_layer_types, "config.json of .* is not valid"),
        (spoil_kind, "not a causal language model"),
        (spoil_json, r"config\.json of .* cannot be read"),
        (spoil_value, r"config\.json of .* is not valid|cannot be loaded"),
        (remove_config, r"no config\.json"),
        (remove_weights, "no weights"),
        (truncate_weights, "cannot be loaded"),
        (remove_a_tensor, r"lack 1 tensors, such as model\.layers\.1\.mlp\.up_proj\.weight"),
        (reshape_a_tensor, "cannot be loaded"),
        (add_an_adapter, "holds an adapter"),
        (shard_elsewhere, r"points to \.\./shard\.safetensors"),
        (shard_missing, r"lacks its weight file shard-2\.safetensors"),
    ],
)
def test_a_spoilt_folder_is_refused_with_its_reason(
    fresh_model: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(fresh_model)

    with pytest.raises(ModelError, match=reason) as caught:
        CodeModel.load(fresh_model)

    assert caught.value.hint


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"device": "toaster"}, "device toaster"),
        ({"dtype": "int3"}, "dtype int3"),
        ({"top_layer": 9}, "no layer 9"),
        ({"revision": "main"}, "no revision"),
    ],
)
def test_an_option_that_cannot_be_met_is_refused_by_name(
    model_folder: ModelFolder, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ModelError, match=reason):
        CodeModel.load(model_folder("Llama"), **options)


def test_the_properties_describe_the_model(model_folder: ModelFolder) -> None:
    folder = model_folder("GPT2")

    model = CodeModel.load(str(folder))

    assert (model.name, model.revision) == ("GPT2", None)
    assert (model.width, model.layer_count, model.context, model.vocabulary_size) == (32, 3, 64, 320)
    assert model.weights_hash == hash_files([folder / "model.safetensors", folder / "config.json"])
    assert model.tokenizer_hash == hash_files([folder / "tokenizer.json"])


def test_loading_prints_nothing(model_folder: ModelFolder, capfd: pytest.CaptureFixture[str]) -> None:
    folder = model_folder("Llama")
    capfd.readouterr()

    CodeModel.load(folder, top_layer=1)

    assert capfd.readouterr() == ("", "")


def test_threads_sets_torchs_own(model_folder: ModelFolder) -> None:
    before = torch.get_num_threads()
    try:
        CodeModel.load(model_folder("GPT2"), threads=3)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_half_precision_stays_close_to_full(model_folder: ModelFolder, sample: str) -> None:
    full = CodeModel.load(model_folder("Llama"))
    half = CodeModel.load(model_folder("Llama"), dtype="bfloat16")
    encoding = full.encode(sample)

    exact, rounded = full.read(encoding, (2,)).values, half.read(encoding, (2,)).values

    assert rounded.dtype == exact.dtype
    assert abs(rounded - exact).max() < 0.05 * abs(exact).max()
