"""`risk-lsp models`, as a person runs it: list, fetch, add, remove, use, and what is then used."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest

from risk_lsp.cli.command_line import main
from risk_lsp.model import registry as catalogue_module
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.registry import CatalogueModel
from risk_lsp.probe import manifest as locate
from risk_lsp.probe.manifest import ModelIdentity, default_bundle_path
from tests.model.gguf_files import write_gguf
from tests.model.hub import Hub
from tests.probe.tiny import change_manifest, save_model, save_tiny_bundle


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


class Runner(Protocol):
    def __call__(self, *arguments: str | Path) -> Outcome: ...


@pytest.fixture(scope="session")
def folder_of_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a person's own, in the transformers format."""
    return save_model(tmp_path_factory.mktemp("own") / "tiny")


@pytest.fixture(scope="session")
def gguf_model(folder_of_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a GGUF file."""
    return write_gguf(folder_of_model, tmp_path_factory.mktemp("gguf") / "small.gguf")


@pytest.fixture(scope="session")
def precise_bundle(gguf_model: Path, folder_of_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle without weights, for the GGUF file."""
    model = CodeModel.load(gguf_model)
    host = ModelIdentity("store", "small", model.weights_hash, model.tokenizer_hash)
    path = save_tiny_bundle(tmp_path_factory.mktemp("bundles") / "precise", folder_of_model, host=lambda _: host)
    shutil.rmtree(path / "model")
    return path


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Runner:
    """Runs `risk-lsp models ...` with a store of its own."""
    monkeypatch.setenv("RISK_LSP_MODELS", str(tmp_path / "store"))

    def run(*arguments: str | Path) -> Outcome:
        code = main(["models", *map(str, arguments)])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def offered(hub: Hub, gguf_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CatalogueModel:
    """The GGUF file as the one model of the catalogue."""
    model = hub.offer(gguf_model.read_bytes())
    file = tmp_path / "catalogue.json"
    file.write_text(json.dumps({"models": [vars(model)]}))
    monkeypatch.setattr(catalogue_module, "_FILE", file)
    catalogue_module.catalogue.cache_clear()
    return model


@pytest.fixture(autouse=True)
def fresh_catalogue() -> Iterator[None]:
    """The catalogue is read anew by the next test."""
    yield
    catalogue_module.catalogue.cache_clear()


@pytest.fixture
def shipped(precise_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundle without weights as one that comes with the program."""
    monkeypatch.setattr(locate, "shipped_bundles", lambda: {"precise": precise_bundle})
    monkeypatch.setattr("risk_lsp.probe.offers.shipped_bundles", lambda: {"precise": precise_bundle})
    return precise_bundle


def listed(models: Runner) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in json.loads(models("list", "--json").out)}


# --- list


def test_the_list_names_size_licence_and_what_is_in_use(models: Runner) -> None:
    rows = models("list").out.splitlines()
    assert any(row.startswith("* built-in") for row in rows)
    assert any("qwen2.5-coder-3b" in row and "2,105 MB" in row and "not for commercial use" in row for row in rows)


def test_the_list_names_the_bundle_that_reads_a_model(models: Runner, offered: CatalogueModel, shipped: Path) -> None:
    assert listed(models)["small"]["bundle"] == "precise"


def test_a_speed_is_shown_once_it_is_measured(models: Runner, gguf_model: Path) -> None:
    models("add", gguf_model)
    assert models("list").out.count("tokens/s") == 0
    assert models("list", "--measure").out.count("tokens/s") == 1
    assert models("list").out.count("tokens/s") == 1


# --- fetch


def test_a_model_is_fetched_by_name(models: Runner, offered: CatalogueModel) -> None:
    code, out, err = models("fetch", "small")
    assert code == 0 and "small is here" in out
    assert "somebody/models" in err and "Apache-2.0" in err
    assert listed(models)["small"]["state"] == "here"


def test_progress_can_be_read_by_a_program(models: Runner, offered: CatalogueModel) -> None:
    *progress, last = map(json.loads, models("fetch", "small", "--json").out.splitlines())
    assert progress[-1] == {"done": offered.size, "size": offered.size}
    assert Path(last["path"]).is_file()


def test_a_name_that_is_none_is_answered_with_those_that_are(models: Runner) -> None:
    code, _, err = models("fetch", "qwen")
    assert code == 2 and "the catalogue has no model qwen" in err and "hint: " in err


def test_ctrl_c_keeps_what_has_come(offered: CatalogueModel, hub: Hub, tmp_path: Path) -> None:
    content = bytes(4_000_000)
    big = hub.offer(content, "big", served=content[:-1])  # the last byte never comes
    (tmp_path / "catalogue.json").write_text(json.dumps({"models": [vars(big)]}))
    code = (
        "import sys; from pathlib import Path; from risk_lsp.model import registry;"
        "registry._FILE = Path(sys.argv.pop(1)); from risk_lsp.cli.command_line import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "catalogue.json"), "models", "fetch", "big", "--json"]
    environment = {"HF_ENDPOINT": hub.url, "RISK_LSP_MODELS": str(tmp_path / "store"), "PATH": ""}
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=root,
        # A shell in the background has its commands ignore the signal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        while json.loads(process.stdout.readline())["done"] < len(content) - 1:
            pass
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert "goes on" in process.stderr.read()
    assert process.returncode == 130
    assert (tmp_path / "store" / "big" / "big.gguf.part").stat().st_size == len(content) - 1


# --- add and remove


def test_a_file_of_the_person_s_own_is_added_in_place(models: Runner, gguf_model: Path) -> None:
    code, out, _ = models("add", gguf_model, "--name", "mine")
    assert code == 0 and f"mine is known now: {gguf_model}, sha256:" in out and "no shipped bundle reads it" in out
    assert listed(models)["mine"]["path"] == str(gguf_model)


def test_adding_a_model_that_a_bundle_reads_says_so(models: Runner, gguf_model: Path, shipped: Path) -> None:
    assert "models use precise" in models("add", gguf_model).out


def test_an_added_model_is_forgotten_and_its_file_stays(models: Runner, gguf_model: Path) -> None:
    models("add", gguf_model, "--name", "mine")
    assert "its files stay" in models("remove", "mine").out
    assert gguf_model.is_file() and "mine" not in listed(models)


def test_a_model_in_use_is_not_removed(models: Runner, gguf_model: Path, shipped: Path) -> None:
    models("add", gguf_model, "--name", "mine")
    models("use", "precise")
    code, _, err = models("remove", "mine")
    assert code == 2 and "is in use" in err and "models use default" in err


# --- use


@pytest.mark.parametrize("name", ["precise", "mine"])
def test_a_bundle_is_chosen_by_its_name_or_its_model_s(
    models: Runner, gguf_model: Path, shipped: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    models("add", gguf_model, "--name", "mine")
    assert models("use", name).code == 0
    assert [row["name"] for row in listed(models).values() if row["in_use"]] == ["mine"]
    assert main(["doctor", "--device", "cpu"]) == 0
    assert str(shipped) in capsys.readouterr().out


def test_a_bundle_of_the_person_s_own_is_chosen_by_its_folder(
    models: Runner, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models("use", tiny_bundle)
    assert main(["doctor", "--device", "cpu"]) == 0
    assert str(tiny_bundle) in capsys.readouterr().out


def test_a_model_that_a_chosen_folder_reads_is_listed_with_it_and_can_be_chosen_again(
    models: Runner, gguf_model: Path, precise_bundle: Path
) -> None:
    models("add", gguf_model, "--name", "mine")
    models("use", precise_bundle)
    assert listed(models)["mine"]["bundle"] == str(precise_bundle)
    assert models("use", "mine").code == 0


def test_default_goes_back_to_the_built_in_one(models: Runner, tiny_bundle: Path) -> None:
    models("use", tiny_bundle)
    assert str(default_bundle_path()) in models("use", "default").out
    assert listed(models)["built-in"]["in_use"]


def test_the_built_in_one_can_be_named_whatever_is_chosen(
    models: Runner, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models("use", tiny_bundle)
    assert main(["doctor", "--bundle", "built-in", "--device", "cpu"]) == 0
    assert str(default_bundle_path()) in capsys.readouterr().out


def test_a_bundle_whose_model_is_not_here_is_not_chosen(models: Runner, offered: CatalogueModel, shipped: Path) -> None:
    code, _, err = models("use", "precise")
    assert code == 2 and "is not on this machine" in err and "models fetch small" in err
    assert listed(models)["built-in"]["in_use"]


def test_a_model_that_no_bundle_reads_is_not_chosen(models: Runner, gguf_model: Path) -> None:
    models("add", gguf_model, "--name", "mine")
    code, _, err = models("use", "mine")
    assert code == 2 and "no bundle reads the model mine" in err and "probe fit" in err


def test_a_bundle_that_is_fitted_to_another_model_is_refused(
    models: Runner, gguf_model: Path, precise_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models("add", gguf_model)
    spoilt = shutil.copytree(precise_bundle, tmp_path / "spoilt")
    change_manifest(spoilt, host__tokenizer_hash="sha256:0")
    models("use", spoilt)
    assert main(["doctor", "--device", "cpu"]) == 2
    assert "the tokenizer of small is not the one" in capsys.readouterr().err


def test_a_model_that_changed_after_it_was_chosen_is_refused(
    models: Runner, gguf_model: Path, shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copy(gguf_model, tmp_path / "copy.gguf"))
    models("add", copy)
    models("use", "precise")
    with copy.open("ab") as file:
        file.write(b"more")
    assert main(["doctor", "--device", "cpu"]) == 2
    assert f"{copy} has changed" in capsys.readouterr().err


def test_a_choice_that_is_damaged_is_named_with_the_way_back(
    models: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "in-use.json").write_text("{")
    assert main(["doctor", "--device", "cpu"]) == 2
    assert "models use default" in capsys.readouterr().err
    assert models("use", "default").code == 0
    assert main(["doctor", "--device", "cpu"]) == 0


def test_a_folder_without_a_bundle_is_not_chosen(models: Runner, tmp_path: Path) -> None:
    assert models("use", tmp_path / "nothing").code == 2
    assert listed(models)["built-in"]["in_use"]


def test_a_repository_cannot_choose_the_bundle(
    models: Runner,
    tiny_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    repository = tmp_path / "repository"
    shutil.copytree(tiny_bundle, repository / "default")
    shutil.copytree(tiny_bundle, repository / "built-in")
    (repository / "in-use.json").write_text(json.dumps({"bundle": str(repository / "default")}))
    (repository / "models").mkdir()
    shutil.copy(repository / "in-use.json", repository / "models")
    monkeypatch.chdir(repository)
    assert main(["doctor", "--device", "cpu"]) == 0
    assert str(default_bundle_path()) in capsys.readouterr().out
