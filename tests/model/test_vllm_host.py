"""A model in a vLLM server: the local numbers, from what a real one answered, and clear words where it goes wrong."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from risk_lsp.errors import BundleError, ModelError
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.decoders import vllm_host
from risk_lsp.model.decoders.vllm_host import VllmAddress, VllmHost, serve_command
from risk_lsp.model.sources import locate_model
from risk_lsp.probe.bundle import load_bundle
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.span_risk import SpanRisk
from tests.model.vllm_servers import (
    CONTEXT,
    LAYERS,
    LONG,
    SHORT,
    TEXTS,
    VARIABLE,
    WARM_UP,
    WIDTH,
    StandIn,
    free_port,
    real_vllm,
    save_served_model,
)
from tests.probe.tiny import save_tiny_bundle
from tests.team.hosts import RunningHost, risks_in, running_host, whole


@pytest.fixture(scope="module")
def served_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_served_model(tmp_path_factory.mktemp("served") / "model")


@pytest.fixture(scope="module")
def served_bundle(served_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    return save_tiny_bundle(folder, served_model, layers=LAYERS, statistics=False)


@pytest.fixture
def states(tmp_path: Path) -> Path:
    folder = tmp_path / "states"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def vllm(states: Path, served_model: Path) -> Iterator[StandIn]:
    server = StandIn(states, served_model)
    yield server
    server.close()


@pytest.fixture
def local(served_bundle: Path) -> Engine:
    """The same bundle, run here, with windows as vLLM takes them: it has to write one token of its context."""
    engine = Engine.load(served_bundle, threads=1)
    engine.model.window = CONTEXT - 1
    return engine


def connect(vllm: StandIn, model: Path, key: str | None = None) -> CodeModel:
    return CodeModel.connect(model, LAYERS, VllmAddress(vllm.url, vllm.folder, key))


def states_file(tokens: Any, hidden: NDArray[Any], dtype: Any = np.float32) -> bytes:
    return save({"token_ids": np.asarray(tokens, np.int64), "hidden_states": hidden.astype(dtype)})


def largest_move(mine: SpanRisk, theirs: SpanRisk | RiskMap) -> float:
    """How much a span's probability moves at most: that of a token, of what begins there, and of what ends there."""
    count = len(mine.starts)
    pairs = [pair for each in range(count) for pair in ((each, each), (0, each), (each, count - 1))]
    starts, ends = [int(mine.starts[first]) for first, _ in pairs], [int(mine.ends[last]) for _, last in pairs]
    return float(np.abs(mine.probabilities(starts, ends) - theirs.probabilities(starts, ends)).max())


def hint_of(vllm: StandIn, model: Path) -> str:
    """What a failed connection is told to do."""
    with pytest.raises(ModelError) as failure:
        connect(vllm, model)
    return failure.value.hint


def test_residuals_are_the_local_ones(vllm: StandIn, served_model: Path) -> None:
    here, there = CodeModel.load(served_model, threads=1), connect(vllm, served_model)
    assert (there.width, there.layer_count, there.host.dtype, there.window) == (WIDTH, 4, "float32", CONTEXT - 1)
    for text in (WARM_UP, SHORT):
        mine, theirs = (model.read(model.encode(text), LAYERS) for model in (here, there))
        assert np.abs(mine.values - theirs.values).max() < 1e-4 * np.abs(mine.values).max()


def test_probabilities_are_the_local_ones_within_a_thousandth(
    vllm: StandIn, served_bundle: Path, local: Engine
) -> None:
    served = Engine.load(served_bundle, vllm=VllmAddress(vllm.url, vllm.folder))
    for text in TEXTS:
        assert largest_move(local.score(text), served.score(text)) < 0.001


def test_no_file_is_left_and_no_text_shares_a_beginning(vllm: StandIn, served_model: Path) -> None:
    model = connect(vllm, served_model)
    model.read_many([model.encode(text) for text in (WARM_UP, SHORT)], LAYERS)
    model.read(model.encode(SHORT), LAYERS)
    assert list(vllm.folder.iterdir()) == []
    salts = [each["cache_salt"] for each in vllm.asked]
    assert len(set(salts)) == len(salts) == 4


def test_files_that_an_earlier_host_left_are_removed(vllm: StandIn, served_model: Path) -> None:
    old, fresh = vllm.folder / "old.safetensors", vllm.folder / "fresh.safetensors"
    other = vllm.folder / "notes.txt"
    for file in (old, fresh, other):
        file.write_bytes(b"")
        os.utime(file, (time.time() - 1000, time.time() - 1000))
    fresh.touch()
    connect(vllm, served_model)
    assert sorted(vllm.folder.iterdir()) == [fresh, other]


def test_a_key_is_sent(vllm: StandIn, served_model: Path) -> None:
    connect(vllm, served_model, "secret")
    assert vllm.keys == ["Bearer secret"]


def test_a_wrong_key_is_said(vllm: StandIn, served_model: Path) -> None:
    model = connect(vllm, served_model)
    vllm.status = 401
    with pytest.raises(ModelError, match="does not accept the key"):
        model.read(model.encode(SHORT), LAYERS)


def test_a_server_that_is_away_is_said_with_the_command_that_starts_it(
    vllm: StandIn, served_model: Path, states: Path
) -> None:
    address = VllmAddress(f"http://127.0.0.1:{free_port()}", states)
    with pytest.raises(ModelError, match="no vLLM answers at") as failure:
        CodeModel.connect(served_model, LAYERS, address)
    words = shlex.split(failure.value.hint.removeprefix("start it by: "))
    assert words == shlex.split(serve_command(served_model.resolve(), CONTEXT, LAYERS, states))
    method = json.loads(words[words.index("--speculative-config") + 1])
    assert method["draft_model_config"]["hf_config"]["eagle_aux_hidden_state_layer_ids"] == list(LAYERS)
    connector = json.loads(words[words.index("--kv-transfer-config") + 1])
    assert connector["kv_connector_extra_config"]["shared_storage_path"] == str(states)


def test_a_server_that_leaves_and_comes_back_is_used_again(vllm: StandIn, served_model: Path) -> None:
    model = connect(vllm, served_model)
    vllm.status = 500
    with pytest.raises(ModelError, match="answers with status 500"):
        model.read(model.encode(SHORT), LAYERS)
    vllm.status = 200
    assert len(model.read(model.encode(SHORT), LAYERS).values)


def test_a_server_for_other_layers_is_refused(vllm: StandIn, served_model: Path) -> None:
    vllm.models["data"][0]["id"] = "risk-lsp-layers-1-2"
    with pytest.raises(ModelError, match=r"serves no model risk-lsp-layers-1-3 \(it serves risk-lsp-layers-1-2\)"):
        connect(vllm, served_model)
    assert "--served-model-name risk-lsp-layers-1-3" in hint_of(vllm, served_model)


def test_a_server_that_came_back_with_other_layers_is_refused(vllm: StandIn, served_model: Path) -> None:
    model = connect(vllm, served_model)
    vllm.models["data"][0]["id"] = "risk-lsp-layers-1-2"
    with pytest.raises(ModelError, match="serves another model now, or other layers"):
        model.read(model.encode(SHORT), LAYERS)


def test_layers_that_were_not_asked_for_are_not_there(vllm: StandIn, served_model: Path) -> None:
    model = connect(vllm, served_model)
    with pytest.raises(ModelError, match=r"does not give layer 2 \(it was started for layers 1, 3\)"):
        model.read(model.encode(SHORT), (2,))


def test_the_same_weights_in_another_folder_are_the_same_model(
    vllm: StandIn, served_model: Path, tmp_path: Path
) -> None:
    vllm.models["data"][0]["root"] = str(save_served_model(tmp_path / "copy"))
    assert connect(vllm, served_model).width == WIDTH


def test_other_weights_are_refused(vllm: StandIn, served_model: Path, tmp_path: Path) -> None:
    other = save_served_model(tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "rope_parameters": {"rope_theta": 5.0}}))
    vllm.models["data"][0]["root"] = str(other)
    with pytest.raises(ModelError, match="another model than model"):
        connect(vllm, served_model)


def test_a_model_that_is_not_on_this_machine_is_refused(vllm: StandIn, served_model: Path) -> None:
    vllm.models["data"][0]["root"] = "somebody/model"
    with pytest.raises(ModelError, match="serves somebody/model, which names no folder on this machine"):
        connect(vllm, served_model)


def test_a_bundle_with_statistics_is_refused(vllm: StandIn, served_model: Path, tmp_path: Path) -> None:
    bundle = save_tiny_bundle(tmp_path / "bundle", served_model, layers=LAYERS, statistics=True)
    with pytest.raises(BundleError, match="cannot be used with vLLM, which gives no token statistics and no text"):
        load_bundle(bundle, vllm=VllmAddress(vllm.url, vllm.folder))


def test_a_host_that_is_to_write_is_refused(vllm: StandIn, served_bundle: Path) -> None:
    with pytest.raises(BundleError, match="leave out --writes"):
        load_bundle(served_bundle, whole_model=True, vllm=VllmAddress(vllm.url, vllm.folder))


def test_statistics_and_text_are_refused(vllm: StandIn, served_model: Path) -> None:
    host = VllmHost(VllmAddress(vllm.url, vllm.folder), locate_model(served_model), LAYERS)
    tokens = np.zeros(3, np.int64)
    with pytest.raises(ModelError, match="no token statistics, and no text"):
        host.run([tokens], LAYERS, to_end=True)
    with pytest.raises(ModelError, match="no token statistics, and no text"):
        host.logits(tokens)
    with pytest.raises(ModelError, match="no token statistics, and no text"):
        host.begin([tokens])
    with pytest.raises(ModelError, match="no token statistics, and no text"):
        host.statistics(tokens, tokens)


def test_an_empty_text_asks_nothing(vllm: StandIn, served_model: Path) -> None:
    host = VllmHost(VllmAddress(vllm.url, vllm.folder), locate_model(served_model), LAYERS)
    before = len(vllm.asked)
    (run,) = host.run([np.zeros(0, np.int64)], LAYERS, to_end=False)
    assert run.residuals[3].shape == (0, WIDTH) and len(vllm.asked) == before


def test_hidden_states_come_in_half_precision_too(vllm: StandIn, served_model: Path) -> None:
    hidden = np.linspace(-2, 2, 2 * WIDTH).reshape(1, 2, WIDTH)
    vllm.content = states_file([0], hidden, np.float16)
    host = VllmHost(VllmAddress(vllm.url, vllm.folder), locate_model(served_model), LAYERS)
    (run,) = host.run([np.zeros(1, np.int64)], LAYERS, to_end=False)
    assert host.dtype == "float16" and np.abs(run.residuals[3] - hidden[:, 1]).max() < 1e-3


BAD_FILES = {
    "a text that nobody asked about": (states_file([1], np.zeros((1, 2, WIDTH))), "not those of the text"),
    "a layer too few": (states_file([0], np.zeros((1, 1, WIDTH))), "the bundle's layers take"),
    "another width": (states_file([0], np.zeros((1, 2, 8))), "the bundle's layers take"),
    "no number": (states_file([0], np.full((1, 2, WIDTH), np.nan)), "not finite"),
    "a type nobody reads": (states_file([0], np.zeros((1, 2, WIDTH)), np.float64), "hidden_states is of type F64"),
    "nothing": (b"", "cannot be read"),
    "half a file": (states_file([0], np.zeros((1, 2, WIDTH)))[:-9], "cannot be read"),
    "no tensor": (save({"other": np.zeros(3, np.float32)}), "not those of the text"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_with_something_else_is_refused_and_removed(vllm: StandIn, served_model: Path, name: str) -> None:
    vllm.content, message = BAD_FILES[name]
    with pytest.raises(ModelError, match=message):
        connect(vllm, served_model)
    assert list(vllm.folder.iterdir()) == []


def test_a_file_that_never_comes_is_said_at_once(vllm: StandIn, served_model: Path) -> None:
    vllm.writes = False  # as by a connector that fails on its device: the lock goes, and there is no file
    with pytest.raises(ModelError, match="did not write its hidden states"):
        connect(vllm, served_model)
    assert list(vllm.folder.iterdir()) == []


def test_a_server_that_does_not_answer_in_time_is_said(
    vllm: StandIn, served_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_host, "_PATIENCE", 1.0)
    model = connect(vllm, served_model)
    vllm.seconds = 2.0
    with pytest.raises(ModelError, match=r"does not answer within 1 s \(see its log\)"):
        model.read(model.encode(SHORT), LAYERS)


def test_a_file_that_is_not_written_in_time_is_said(
    vllm: StandIn, served_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_host, "_PATIENCE", 1.0)
    model = connect(vllm, served_model)
    vllm.seconds_to_write = 2.0
    with pytest.raises(ModelError, match="did not write its hidden states: not within 1 s"):
        model.read(model.encode(SHORT), LAYERS)


def test_a_file_that_came_too_late_is_removed_by_a_later_request(
    vllm: StandIn, served_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = connect(vllm, served_model)
    late = vllm.folder / "late.safetensors"
    late.write_bytes(b"")
    monkeypatch.setattr(vllm_host, "_FORGOTTEN_AFTER", -1.0)
    model.read(model.encode(SHORT), LAYERS)
    assert not late.exists()


BAD_ANSWERS: dict[str, Any] = {
    "a list": [],
    "no path": {"choices": []},
    "nothing written": {"kv_transfer_params": None},
    "a path that is none": {"kv_transfer_params": {"hidden_states_path": 7}},
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_an_answer_of_another_form_is_refused(vllm: StandIn, served_model: Path, name: str) -> None:
    vllm.answer = BAD_ANSWERS[name]
    with pytest.raises(ModelError, match="/v1/completions has another form"):
        connect(vllm, served_model)


def test_models_of_another_form_are_refused(vllm: StandIn, served_model: Path) -> None:
    vllm.models["data"][0] = {"id": "risk-lsp-layers-1-3"}
    with pytest.raises(ModelError, match="/v1/models has another form"):
        connect(vllm, served_model)


@pytest.mark.parametrize("name", ["passwords.txt", "weights.safetensors"])
def test_no_file_outside_of_the_folder_is_touched(vllm: StandIn, served_model: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text("keep")
    vllm.answer = {"kv_transfer_params": {"hidden_states_path": f"{vllm.folder}/../{name}"}}
    with pytest.raises(ModelError, match="writes hidden states to"):
        connect(vllm, served_model)
    assert file.read_text() == "keep"


def test_a_folder_that_others_can_read_is_refused(vllm: StandIn, served_model: Path) -> None:
    vllm.folder.chmod(0o755)
    with pytest.raises(ModelError, match="others can read"):
        connect(vllm, served_model)
    assert hint_of(vllm, served_model) == f"chmod 700 {vllm.folder}"


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://[", "http://127.0.0.1/v1"])
def test_what_is_no_address_is_refused(served_model: Path, states: Path, url: str) -> None:
    with pytest.raises(ModelError, match="is no address"):
        CodeModel.connect(served_model, LAYERS, VllmAddress(url, states))


def test_texts_do_not_leave_the_machine_in_the_clear(served_model: Path, states: Path) -> None:
    with pytest.raises(ModelError, match=r"texts would go to gpu\.example\.org for others to read"):
        CodeModel.connect(served_model, LAYERS, VllmAddress("http://gpu.example.org:8000", states))


def ask_host(host: RunningHost, text: str) -> httpx2.Response:
    with host.client() as client:
        return client.post("/v1/score", json=whole(text, document=secrets.token_hex()))


def test_a_teams_host_answers_with_the_local_numbers(
    vllm: StandIn, served_bundle: Path, local: Engine, tmp_path: Path
) -> None:
    options = ("--vllm", vllm.url, "--vllm-folder", str(vllm.folder))
    with running_host(tmp_path, served_bundle, *options) as host:
        theirs = risks_in(ask_host(host, LONG))
        with host.client() as client:
            assert client.get("/v1/model").json()["description"]["device"] == "vllm"
        vllm.status = 500
        assert ask_host(host, SHORT).status_code == 503
        vllm.status = 200
        assert ask_host(host, SHORT).status_code == 200
    assert largest_move(local.score(LONG), theirs) < 0.001


@pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no Python with vLLM")
def test_a_real_vllm_gives_the_local_numbers(
    served_model: Path, served_bundle: Path, local: Engine, tmp_path: Path, states: Path
) -> None:
    texts = [*TEXTS, SHORT.replace("width", "w"), LONG[40:], LONG * 3]
    with real_vllm(os.environ[VARIABLE], served_model, states) as url:
        served = Engine.load(served_bundle, vllm=VllmAddress(url, states))
        for mine, theirs in zip(local.score_many(texts), served.score_many(texts), strict=True):
            assert largest_move(mine, theirs) < 0.001
        with running_host(tmp_path, served_bundle, "--vllm", url, "--vllm-folder", str(states)) as host:
            answered = risks_in(ask_host(host, LONG))
    assert largest_move(local.score(LONG), answered) < 0.001
    assert list(states.iterdir()) == []
