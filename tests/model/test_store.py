"""The model store: what is added, fetched, removed, and held to its hash."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from risk_lsp.errors import ModelError
from risk_lsp.model import registry as catalogue_module
from risk_lsp.model import store as store_module
from risk_lsp.model.registry import REGISTRY_FILE, CatalogueModel, store_folder
from risk_lsp.model.sources import hash_weights
from risk_lsp.model.store import ModelStore
from tests.model.gguf_files import write_gguf
from tests.model.hub import Hub


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """A store of nothing."""
    return ModelStore(tmp_path / "store")


@pytest.fixture(scope="session")
def gguf_model(model_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small GGUF file."""
    return write_gguf(model_folder("Llama"), tmp_path_factory.mktemp("gguf") / "tiny.Q4_K_M.gguf")


@pytest.fixture
def offered(hub: Hub, gguf_model: Path, monkeypatch: pytest.MonkeyPatch) -> CatalogueModel:
    """The small GGUF file as the one model of the catalogue."""
    model = hub.offer(gguf_model.read_bytes())
    for module in (catalogue_module, store_module):
        monkeypatch.setattr(module, "catalogue", lambda: (model,))
    return model


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The models whose files were read for their hash."""
    paths: list[Path] = []

    def noted(path: Path) -> str:
        paths.append(path)
        return hash_weights(path)

    monkeypatch.setattr(store_module, "hash_weights", noted)
    return paths


# --- add


def test_a_gguf_file_is_added_in_place(store: ModelStore, gguf_model: Path) -> None:
    model = store.add(gguf_model)
    assert (model.name, model.path, model.source) == ("tiny.Q4_K_M", gguf_model, None)
    assert store.path_of(hash_weights(gguf_model), "tiny") == gguf_model


def test_a_transformers_folder_is_added_in_place(store: ModelStore, fresh_model: Path) -> None:
    assert store.add(fresh_model, "mine").path == fresh_model
    assert store.path_of(hash_weights(fresh_model), "mine") == fresh_model


def test_a_blob_of_ollama_is_named_by_its_first_digits(store: ModelStore, gguf_model: Path, tmp_path: Path) -> None:
    blob = shutil.copy(gguf_model, tmp_path / f"sha256-{'0123456789abcdef' * 4}")
    assert store.add(Path(blob)).name == "sha256-0123456789ab"


def test_a_model_of_the_catalogue_is_known_by_its_content(
    store: ModelStore, gguf_model: Path, offered: CatalogueModel
) -> None:
    assert store.add(gguf_model).name == offered.name


def test_another_file_cannot_take_a_name_of_the_catalogue(
    store: ModelStore, fresh_model: Path, offered: CatalogueModel
) -> None:
    with pytest.raises(ModelError, match="not the model that the catalogue calls small"):
        store.add(fresh_model, offered.name)


def test_a_name_is_not_given_twice(store: ModelStore, gguf_model: Path, fresh_model: Path) -> None:
    store.add(gguf_model, "mine")
    with pytest.raises(ModelError, match=f"there is a model mine already, at {gguf_model}"):
        store.add(fresh_model, "mine")


@pytest.mark.parametrize("name", ["", "../up", "a/b", "a b", "-x"])
def test_a_name_is_a_plain_word(store: ModelStore, gguf_model: Path, name: str) -> None:
    if name:
        with pytest.raises(ModelError, match="cannot name a model"):
            store.add(gguf_model, name)
    else:
        assert store.add(gguf_model, name).name == "tiny.Q4_K_M"


def test_a_file_that_holds_no_model_is_refused(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "notes.gguf").write_text("hello")
    with pytest.raises(ModelError, match=r"notes\.gguf"):
        store.add(tmp_path / "notes.gguf")
    assert store.models() == []


# --- held to the hash


def test_a_file_that_looks_as_before_is_not_read_again(store: ModelStore, gguf_model: Path, hashed: list[Path]) -> None:
    weights_hash = store.add(gguf_model).weights_hash
    hashed.clear()
    assert store.path_of(weights_hash, "tiny") == gguf_model
    assert hashed == []


def test_a_file_that_was_only_touched_is_read_once(store: ModelStore, fresh_model: Path, hashed: list[Path]) -> None:
    weights_hash = store.add(fresh_model).weights_hash
    os.utime(fresh_model / "model.safetensors")
    hashed.clear()
    for _ in range(2):
        store.path_of(weights_hash, "tiny")
    assert hashed == [fresh_model]


def test_a_file_that_has_changed_is_refused_by_name(store: ModelStore, fresh_model: Path) -> None:
    weights_hash = store.add(fresh_model, "mine").weights_hash
    with (fresh_model / "model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x7f")
    with pytest.raises(ModelError, match=r"has changed since it became the model mine.*models remove mine"):
        store.path_of(weights_hash, "mine")


def test_a_model_that_has_gone_is_named_with_the_way_out(store: ModelStore, fresh_model: Path) -> None:
    weights_hash = store.add(fresh_model, "mine").weights_hash
    shutil.rmtree(fresh_model)
    with pytest.raises(ModelError, match=rf"is no longer at {fresh_model}.*models add PATH"):
        store.path_of(weights_hash, "mine")


def test_a_model_of_the_catalogue_that_is_not_here_is_named_with_the_way_to_fetch_it(store: ModelStore) -> None:
    wanted = catalogue_module.catalogue_model("qwen2.5-coder-0.5b")
    with pytest.raises(ModelError, match=r"is not on this machine.*models fetch qwen2.5-coder-0.5b.*use default"):
        store.path_of(wanted.weights_hash, wanted.name)


def test_another_place_with_the_same_content_does_as_well(store: ModelStore, fresh_model: Path, tmp_path: Path) -> None:
    weights_hash = store.add(fresh_model, "first").weights_hash
    copy = shutil.copytree(fresh_model, tmp_path / "copy")
    store.add(copy, "second")
    shutil.rmtree(fresh_model)
    assert store.path_of(weights_hash, "first") == copy


# --- fetch


def test_a_model_is_fetched_into_the_store(store: ModelStore, offered: CatalogueModel) -> None:
    model = store.fetch(offered)
    assert model.path.is_relative_to(store.folder)
    assert model.source == "somebody/models@0123456789abcdef0123456789abcdef01234567"
    assert store.path_of(offered.weights_hash, offered.name) == model.path


def test_what_is_here_is_not_fetched_again(store: ModelStore, offered: CatalogueModel, hub: Hub) -> None:
    store.fetch(offered)
    store.fetch(offered)
    assert len(hub.ranges) == 1


def test_what_was_added_is_not_fetched(store: ModelStore, gguf_model: Path, offered: CatalogueModel, hub: Hub) -> None:
    store.add(gguf_model)
    assert store.fetch(offered).path == gguf_model
    assert hub.ranges == []


def test_a_whole_file_that_the_registry_forgot_is_not_fetched_again(
    store: ModelStore, offered: CatalogueModel, hub: Hub
) -> None:
    store.fetch(offered)
    (store.folder / REGISTRY_FILE).unlink()
    assert store.fetch(offered).path.is_file()
    assert len(hub.ranges) == 1


def test_a_fetch_that_was_broken_off_is_gone_on_with(store: ModelStore, offered: CatalogueModel, hub: Hub) -> None:
    def interrupt(done: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.fetch(offered, interrupt)
    kept = store.partial_size(offered)
    assert kept > 0 and store.models() == []
    hub.ranges.clear()
    store.fetch(offered)
    assert hub.ranges == ([f"bytes={kept}-"] if kept < offered.size else [])
    assert store.partial_size(offered) == 0


def test_only_one_process_fetches_at_a_time(store: ModelStore, offered: CatalogueModel) -> None:
    holder = (
        "import sys, filelock\n"
        "with filelock.FileLock(sys.argv[1]):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    store.folder.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(store.folder / ".fetch.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        with pytest.raises(ModelError, match="another process is fetching"):
            store.fetch(offered)
        process.stdin.close()
    assert store.fetch(offered).path.is_file()


# --- remove


def test_a_fetched_model_is_removed_with_its_file(store: ModelStore, offered: CatalogueModel) -> None:
    path = store.fetch(offered).path
    assert store.remove(offered.name) == offered.size
    assert not path.parent.exists() and store.models() == []


def test_an_added_model_is_forgotten_and_its_file_stays(store: ModelStore, gguf_model: Path) -> None:
    assert store.remove(store.add(gguf_model).name) == 0
    assert gguf_model.is_file() and store.models() == []


def test_what_a_broken_off_fetch_left_is_removed(store: ModelStore, offered: CatalogueModel) -> None:
    part = store.folder / offered.name / f"{offered.file}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"beginning")
    assert store.remove(offered.name) == 9
    assert not part.exists()


def test_what_is_not_here_cannot_be_removed(store: ModelStore, gguf_model: Path) -> None:
    store.add(gguf_model, "mine")
    with pytest.raises(ModelError, match=r"there is no model other on this machine.*here are: mine"):
        store.remove("other")


# --- the registry


def test_a_speed_that_was_measured_is_kept(store: ModelStore, gguf_model: Path) -> None:
    model = store.add(gguf_model, "mine")
    store.record_speed(model.weights_hash, 123.4)
    kept = store.find("mine")
    assert kept is not None and kept.tokens_per_second == 123.4


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"format": 9, "models": []}',
        '{"format": 1, "models": [{}]}',
        '{"format": 1, "models": 3}',
        json.dumps({"format": 1, "models": [{"name": 1, "path": "x", "weights_hash": "y", "size": 1, "stamps": []}]}),
        "[" * 100_000,
    ],
)
def test_a_damaged_registry_is_named_with_the_way_out(store: ModelStore, content: str) -> None:
    store.folder.mkdir()
    (store.folder / REGISTRY_FILE).write_text(content)
    with pytest.raises(ModelError, match=r"registry\.json is damaged.*remove it"):
        store.models()


def test_a_folder_that_cannot_be_made_is_named_with_the_way_out(gguf_model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"cannot be used: .*RISK_LSP_MODELS"):
        ModelStore(tmp_path / "file" / "store").add(gguf_model)


def test_the_environment_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RISK_LSP_MODELS", str(tmp_path))
    assert store_folder() == tmp_path


def test_by_default_models_are_in_the_user_s_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RISK_LSP_MODELS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert store_folder() == tmp_path / "risk-lsp" / "models"
