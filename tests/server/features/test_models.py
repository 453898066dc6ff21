"""Models in a running server: listed, fetched with consent, chosen without a restart, also by other programs."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.registry import CatalogueModel
from risk_lsp.model.store import ModelStore
from risk_lsp.probe.manifest import ModelIdentity, choose_bundle
from tests.model.gguf_files import write_gguf
from tests.model.hub import Hub
from tests.probe.tiny import save_model, save_tiny_bundle
from tests.server.lsp_client import ResponseError
from tests.server.person import Person
from tests.server.test_settings_in_force import MESSAGE
from tests.server.test_status import STATUS, status

URI = "file:///project/program.py"
TEXT = "def total(values):\n    result = 0\n    return result\n"
CANCELLED = -32800
QUESTION = "window/showMessageRequest"

Start = Callable[..., Awaitable[Person]]


@pytest.fixture(scope="module")
def gguf_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a person's own."""
    folder = save_model(tmp_path_factory.mktemp("own") / "tiny", seed=8)
    return write_gguf(folder, tmp_path_factory.mktemp("gguf") / "small.gguf")


@pytest.fixture(scope="module")
def bundles(gguf_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two bundles: `default` with its model inside, and `precise`, which reads the GGUF file."""
    folder = tmp_path_factory.mktemp("bundles")
    save_tiny_bundle(folder / "default", save_model(tmp_path_factory.mktemp("other") / "tiny"))
    model = CodeModel.load(gguf_model)
    host = ModelIdentity("store", "small", model.weights_hash, model.tokenizer_hash)
    tiny = save_model(tmp_path_factory.mktemp("same") / "tiny", seed=8)
    shutil.rmtree(save_tiny_bundle(folder / "precise", tiny, host=lambda _: host) / "model")
    return folder


@pytest.fixture
def offered(hub: Hub, gguf_model: Path, tmp_path: Path) -> CatalogueModel:
    """The GGUF file as the one model of the catalogue."""
    return offer(hub.offer(gguf_model.read_bytes()), tmp_path)


def offer(model: CatalogueModel, folder: Path) -> CatalogueModel:
    (folder / "catalogue.json").write_text(json.dumps({"models": [vars(model)]}))
    return model


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModelStore:
    """The models of this user, for the server and the test."""
    monkeypatch.setenv("RISK_LSP_MODELS", str(tmp_path / "store"))
    return ModelStore()


@pytest.fixture
async def start(bundles: Path, offered: CatalogueModel, store: ModelStore, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a server, with options of `serve`, and shakes hands as a client that wants to hear everything."""
    started: list[Person] = []

    async def person(*options: str, **params: Any) -> Person:
        words = [str(tmp_path / "catalogue.json"), str(bundles), str(tmp_path / "data"), *options]
        client = await Person.start([sys.executable, "-m", "tests.server.model_server", *words])
        assert isinstance(client, Person)
        started.append(client)
        capabilities = {
            "window": {"workDoneProgress": True},
            "experimental": {"riskLsp": {"status": True, "analysed": True}},
        }
        settings = {"threshold": 0.0, "maxDiagnostics": 100}
        await client.initialize(
            "emacs30-eglot", **{"capabilities": capabilities, "initializationOptions": settings, **params}
        )
        return client

    yield person
    for client in started:
        await client.kill()


async def numbers(client: Person) -> Any:
    return (await client.request("riskLsp/lines", {"uri": URI}))["lines"]


async def fetch(client: Person, name: str = "small") -> Any:
    return await client.result_of(send_fetch(client, name))


def send_fetch(client: Person, name: str = "small") -> int:
    params = {"command": "riskLsp.fetchModel", "arguments": [name], "workDoneToken": "fetching"}
    return client.send_request("workspace/executeCommand", params)


# --- list


async def test_the_list_says_what_is_here_what_can_be_fetched_and_what_is_in_use(start: Start) -> None:
    client = await start()
    answer = await client.execute("riskLsp.listModels")
    built_in, small = answer["models"]
    assert (built_in["name"], built_in["state"], built_in["in_use"]) == ("built-in", "built-in", True)
    assert (small["state"], small["licence"], small["bundle"]) == ("to fetch", "Apache-2.0", "precise")
    assert answer["setting"] is None and answer["chosen"].endswith("default")


# --- use


async def test_another_model_is_used_without_a_restart_and_documents_are_scored_by_it(
    start: Start, gguf_model: Path
) -> None:
    client = await start()
    client.open(URI, TEXT)
    before = await numbers(client)
    assert await client.execute("riskLsp.addModel", str(gguf_model)) == {"name": "small", "bundle": "precise"}
    await client.execute("riskLsp.useModel", "small")
    after = await numbers(client)
    assert after != before
    assert [params["bundle"] for params in client.all_of(STATUS) if params["state"] == "ready"][-1] == "precise"
    await client.execute("riskLsp.useModel", "default")
    assert await numbers(client) == before


async def test_what_the_old_model_said_is_taken_back_before_the_new_one_speaks(
    start: Start, store: ModelStore, gguf_model: Path
) -> None:
    store.add(gguf_model)
    client = await start()
    client.open(URI, TEXT)
    old = await client.diagnostics(URI, 1)
    seen = len(client.received)
    await client.execute("riskLsp.useModel", "precise")
    await numbers(client)
    published = [
        message["params"]["diagnostics"]
        for message in client.received[seen:]
        if message.get("method") == "textDocument/publishDiagnostics"
    ]
    assert old and published[0] == []
    assert old not in published


async def test_a_choice_made_by_another_program_is_followed_at_the_next_message(
    start: Start, store: ModelStore, gguf_model: Path
) -> None:
    store.add(gguf_model)
    client = await start()
    client.open(URI, TEXT)
    before = await numbers(client)
    choose_bundle("precise")
    time.sleep(1.1)  # a server looks once a second
    seen = len(client.received)
    await client.hover(URI, line=1)
    await client.message(
        lambda m: m.get("method") == STATUS and (m["params"]["bundle"], m["params"]["state"]) == ("precise", "ready"),
        seen,
    )
    assert await numbers(client) != before


async def test_a_model_that_is_not_here_is_not_used_and_the_error_says_how_to_get_it(start: Start) -> None:
    client = await start()
    with pytest.raises(ResponseError, match="models fetch small"):
        await client.execute("riskLsp.useModel", "precise")
    assert (await client.execute("riskLsp.listModels"))["models"][0]["in_use"]


async def test_where_a_setting_names_the_bundle_no_other_is_chosen(start: Start, bundles: Path) -> None:
    client = await start(str(bundles / "default"))
    assert (await client.execute("riskLsp.listModels"))["setting"] == str(bundles / "default")
    with pytest.raises(ResponseError, match="the setting bundle names"):
        await client.execute("riskLsp.useModel", "default")


async def test_a_model_that_came_back_is_loaded_by_choosing_it_again(
    start: Start, store: ModelStore, gguf_model: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(gguf_model, tmp_path / "copy.gguf"))
    store.add(copy)
    choose_bundle("precise")
    copy.rename(tmp_path / "away.gguf")
    client = await start()
    assert "is no longer at" in (await status(client, "failed"))["message"]
    (tmp_path / "away.gguf").rename(copy)
    await client.execute("riskLsp.useModel", "precise")
    assert (await status(client, "ready"))["bundle"] == "precise"


async def test_a_model_in_use_is_not_removed(start: Start, store: ModelStore, gguf_model: Path) -> None:
    store.add(gguf_model)
    client = await start()
    await client.execute("riskLsp.useModel", "precise")
    with pytest.raises(ResponseError, match="is in use"):
        await client.execute("riskLsp.removeModel", "small")
    await client.execute("riskLsp.useModel", "default")
    assert await client.execute("riskLsp.removeModel", "small") == {"freed": 0}


async def test_a_path_that_depends_on_where_the_server_runs_is_not_added(start: Start) -> None:
    client = await start()
    with pytest.raises(ResponseError, match="is not a whole path"):
        await client.execute("riskLsp.addModel", "small.gguf")


# --- fetch


async def test_nothing_is_fetched_before_the_person_has_agreed_to_size_source_and_licence(
    start: Start, offered: CatalogueModel, hub: Hub
) -> None:
    client = await start()
    client.choose("Not now")
    assert (await fetch(client))["status"] == "declined"
    (question,) = client.questions
    assert f"{offered.size / 1e6:,.0f} MB come from {hub.url}/somebody/models" in question and "Apache-2.0" in question
    assert hub.ranges == []


async def test_a_question_that_is_dismissed_is_no_consent(start: Start, hub: Hub) -> None:
    client = await start()
    client.choose()
    assert (await fetch(client))["status"] == "declined"
    assert hub.ranges == []


async def test_a_client_that_has_a_dialog_is_asked_there(start: Start, hub: Hub) -> None:
    client = await start(capabilities={"experimental": {"riskLsp": {"consent": True}}})
    client.replies["riskLsp/askForConsent"] = {"choice": "Not now"}
    assert (await fetch(client))["status"] == "declined"
    (asked,) = client.all_of("riskLsp/askForConsent")
    assert "may Small be fetched?" in asked["question"] and asked["choices"][-1] == "Not now"
    assert client.questions == [] and hub.ranges == []


@pytest.mark.parametrize("answer", [None, [], {"choice": "Fetch"}, {"choice": 5}])
async def test_an_answer_that_was_not_to_choose_is_no_consent(start: Start, hub: Hub, answer: Any) -> None:
    client = await start(capabilities={"experimental": {"riskLsp": {"consent": True}}})
    client.replies["riskLsp/askForConsent"] = answer
    assert (await fetch(client))["status"] == "declined"
    assert hub.ranges == []


async def test_a_model_is_fetched_with_progress_and_then_used(
    start: Start, offered: CatalogueModel, store: ModelStore
) -> None:
    client = await start()
    client.replies[QUESTION] = lambda params: params["actions"][0]
    assert await fetch(client) == {"status": "fetched", "message": "small is here"}
    kept = store.find("small")
    assert kept is not None and kept.weights_hash == offered.weights_hash
    reported = [each["value"] for each in client.all_of("$/progress") if each["token"] == "fetching"]
    assert [each["kind"] for each in (reported[0], reported[-1])] == ["begin", "end"]
    assert reported[-2]["percentage"] == 100
    await client.execute("riskLsp.useModel", "small")
    assert (await fetch(client))["status"] == "fetched"
    assert len(client.questions) == 1, "what is here is not asked about"


async def test_without_a_token_the_answer_comes_at_once_and_a_message_at_the_end(start: Start) -> None:
    client = await start()
    client.replies[QUESTION] = lambda params: params["actions"][0]
    assert (await client.execute("riskLsp.fetchModel", "small"))["status"] == "started"
    assert (await client.notification(MESSAGE))["message"] == "risk-lsp: small is here"


async def test_a_client_that_cannot_ask_fetches_nothing(start: Start, hub: Hub) -> None:
    client = await start()
    client.answer = lambda request: client.send(  # type: ignore[method-assign]
        {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "unknown"}}
    )
    outcome = await fetch(client)
    assert outcome["status"] == "failed" and "risk-lsp models fetch small" in outcome["message"]
    assert hub.ranges == []


async def test_cancelling_the_progress_ends_a_fetch_and_keeps_what_has_come(
    start: Start, hub: Hub, store: ModelStore, tmp_path: Path
) -> None:
    client, big = await begin_endless_fetch(start, hub, tmp_path)
    client.notify("window/workDoneProgress/cancel", {"token": "fetching"})
    with pytest.raises(ResponseError, match="what has come is kept") as caught:
        await client.result_of(client.requests_sent)
    assert caught.value.code == CANCELLED
    assert store.partial_size(big) > 0


async def test_a_second_model_is_not_fetched_at_the_same_time(start: Start, hub: Hub, tmp_path: Path) -> None:
    client, _ = await begin_endless_fetch(start, hub, tmp_path)
    with pytest.raises(ResponseError, match="already"):
        await client.execute("riskLsp.fetchModel", "big")


async def test_a_server_that_fetches_can_be_shut_down(start: Start, hub: Hub, tmp_path: Path) -> None:
    client, _ = await begin_endless_fetch(start, hub, tmp_path)
    before = time.monotonic()
    assert await client.shut_down() == 0
    assert time.monotonic() - before < 10


async def begin_endless_fetch(start: Start, hub: Hub, folder: Path) -> tuple[Person, CatalogueModel]:
    """A fetch of a model whose last byte never comes."""
    content = bytes(4_000_000)
    big = offer(hub.offer(content, "big", served=content[:-1]), folder)
    client = await start()
    client.replies[QUESTION] = lambda params: params["actions"][0]
    send_fetch(client, "big")
    while not ModelStore().partial_size(big):
        await asyncio.sleep(0.01)
    return client, big


async def test_a_name_that_is_none_is_answered_with_those_that_are(start: Start) -> None:
    client = await start()
    with pytest.raises(ResponseError, match="the catalogue has no model smal"):
        await fetch(client, "smal")
