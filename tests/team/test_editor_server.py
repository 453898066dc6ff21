"""The editor's server with a team's host: real processes, a real editor's messages, and a host that dies."""

from __future__ import annotations

import os
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.probe.manifest import default_bundle_path
from tests.server.lsp_client import LspClient
from tests.team.hosts import PROGRAM, RunningHost, running_host, tls_options

URI = "file:///project/program.py"
STATUS, ANALYSED, MESSAGE = "riskLsp/status", "riskLsp/analysed", "window/showMessage"


@pytest.fixture
async def client(host: RunningHost) -> AsyncIterator[LspClient]:
    """A client of a server that finds Anna's key in its environment."""
    connected = await start_server(host)
    yield connected
    await connected.kill()


async def start_server(host: RunningHost, **environment: str) -> LspClient:
    """A server before `initialize`."""
    surroundings = {**os.environ, "RISK_LSP_HOST_KEY": host.keys["anna"], **environment}
    return await LspClient.start([sys.executable, "-m", "risk_lsp", "serve"], env=surroundings)


async def initialize(client: LspClient, host_url: str, **options: Any) -> None:
    """Shake hands as a client that hears of status; the model on this machine is the built-in one."""
    capabilities = {"experimental": {"riskLsp": {"status": True, "analysed": True}}}
    settings = {"threshold": 0.0, "debounce": 0.0, "threads": 1, "remoteHost": host_url, **options}
    await client.initialize("emacs30-eglot", capabilities=capabilities, initializationOptions=settings)


async def ready_with(client: LspClient, bundle: str, after: int = 0) -> dict[str, Any]:
    """The first status that says that this bundle answers."""

    def matches(message: dict[str, Any]) -> bool:
        said = message.get("params") or {}
        return message.get("method") == STATUS and (said["state"], said["bundle"]) == ("ready", bundle)

    message = await client.message(matches, after)
    params = message["params"]
    assert isinstance(params, dict)
    return params


def messages(client: LspClient) -> list[str]:
    """What was shown to the person."""
    return [each["message"] for each in client.all_of(MESSAGE)]


async def test_documents_are_scored_by_the_host(client: LspClient, host: RunningHost) -> None:
    await initialize(client, host.url)
    client.open(URI, PROGRAM)
    await client.notification(ANALYSED)
    assert (await ready_with(client, "tiny"))["message"] == "Ready."
    client.replace(URI, 2, PROGRAM.replace("width", "w"))
    assert await client.diagnostics(URI, 2) != []
    assert messages(client) == []


async def test_no_worker_runs_beside_the_host(client: LspClient, host: RunningHost) -> None:
    await initialize(client, host.url)
    client.open(URI, PROGRAM)
    await client.notification(ANALYSED)
    server = client.process.pid
    assert Path(f"/proc/{server}/task/{server}/children").read_text(encoding="ascii").split() == []


async def test_hovers_ask_the_host(client: LspClient, host: RunningHost) -> None:
    await initialize(client, host.url)
    client.open(URI, PROGRAM)
    await client.notification(ANALYSED)
    hover = await client.hover(URI, line=3)
    assert hover is not None and "%" in hover["contents"]["value"]


async def test_of_a_long_program_the_surroundings_of_an_edit_come_first(tmp_path: Path) -> None:
    with running_host(tmp_path, default_bundle_path(), "--threads", "1") as host:
        client = await start_server(host)
        await initialize(client, host.url)
        await ready_with(client, "default")
        client.open(URI, "x = 1\n" * 4000)
        place = {"line": 3000, "character": 0}
        client.change(URI, 2, {"range": {"start": place, "end": place}, "text": "y = 2\n"})
        first = {each["range"]["start"]["line"] for each in await client.diagnostics(URI, 2)}
        await client.request("riskLsp/lines", {"uri": URI})
        published = client.all_of("textDocument/publishDiagnostics")
        await client.kill()
    assert first and all(2500 <= line <= 3500 for line in first)
    assert len(published) > 1


async def test_a_host_that_is_killed_and_started_again_costs_one_message_and_no_document(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    with running_host(tmp_path, tiny_bundle, "--threads", "1") as host:
        client = await start_server(host)
        await initialize(client, host.url)
        client.open(URI, PROGRAM)
        await client.notification(ANALYSED)
        host.stop(signal.SIGKILL)
        client.replace(URI, 2, PROGRAM + "\n")
        assert await client.diagnostics(URI, 2) != []
        assert "not in use" in (await ready_with(client, "default"))["message"]
        seen = len(client.received)
        with running_host(tmp_path, tiny_bundle, "--threads", "1", listen=f"127.0.0.1:{host.port}"):
            assert (await ready_with(client, "tiny", seen))["message"] == "Ready."
            assert await client.notification(ANALYSED, seen) == {"uri": URI, "version": 2}
            assert len(messages(client)) == 1
            await client.kill()


async def test_a_host_that_was_never_there_is_named_once_and_the_local_model_answers(
    client: LspClient, host: RunningHost
) -> None:
    await initialize(client, "http://127.0.0.1:9")
    client.open(URI, PROGRAM)
    await client.notification(ANALYSED)
    assert len(messages(client)) == 1
    assert "127.0.0.1:9 cannot be reached" in messages(client)[0]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("https://risk.example.org:8443", "risk.example.org is on the network and risk-lsp is offline"),
        ("http://risk.example.org:8443", "has no TLS"),
        ("risk.example.org", "is no address"),
    ],
)
async def test_an_address_that_may_not_be_asked_is_refused_with_the_way_out(
    client: LspClient, address: str, reason: str
) -> None:
    await initialize(client, address)
    client.open(URI, PROGRAM)
    await client.notification(ANALYSED)
    assert reason in messages(client)[0]


async def test_a_key_that_the_host_does_not_know_is_named(host: RunningHost) -> None:
    client = await start_server(host, RISK_LSP_HOST_KEY="risk-of-nobody")
    await initialize(client, host.url)
    client.open(URI, PROGRAM)
    await client.notification(ANALYSED)
    assert "does not accept the key" in messages(client)[0]
    assert "risk-of-nobody" not in messages(client)[0]
    await client.kill()


async def test_the_key_may_stand_in_a_file(host: RunningHost, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(host.keys["ben"] + "\n")
    client = await start_server(host, RISK_LSP_HOST_KEY="")
    await initialize(client, host.url, remoteKeyFile=str(tmp_path / "key"))
    await ready_with(client, "tiny")
    assert messages(client) == []
    await client.kill()


async def test_the_key_may_be_the_editor_s_secret(host: RunningHost) -> None:
    class Keeper(LspClient):
        def answer(self, request: dict[str, Any]) -> None:
            assert request["method"] != "riskLsp/secret" or request["params"] == {"endpoint": host.url}
            result = {"secret": host.keys["ben"]} if request["method"] == "riskLsp/secret" else None
            self.send({"jsonrpc": "2.0", "id": request["id"], "result": result})

    client = await Keeper.start(
        [sys.executable, "-m", "risk_lsp", "serve"], env={**os.environ, "RISK_LSP_HOST_KEY": ""}
    )
    capabilities = {"experimental": {"riskLsp": {"status": True, "secret": True}}}
    options = {"remoteHost": host.url}
    await client.initialize("emacs30-eglot", capabilities=capabilities, initializationOptions=options)
    await ready_with(client, "tiny")
    await client.kill()


async def test_a_host_of_one_s_own_authority_is_asked_over_tls(tiny_bundle: Path, tmp_path: Path) -> None:
    options = tls_options(tmp_path)
    trusted = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
    with running_host(tmp_path, tiny_bundle, *options, verify=trusted) as host:
        client = await start_server(host, SSL_CERT_FILE=str(tmp_path / "authority.pem"))
        await initialize(client, host.url)
        await ready_with(client, "tiny")
        await client.kill()


async def test_a_host_whose_certificate_nobody_vouches_for_is_not_asked(tiny_bundle: Path, tmp_path: Path) -> None:
    options = tls_options(tmp_path)
    trusted = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
    with running_host(tmp_path, tiny_bundle, *options, verify=trusted) as host:
        client = await start_server(host)
        await initialize(client, host.url)
        await ready_with(client, "default")
        assert "cannot be reached" in messages(client)[0]
        await client.kill()


async def test_a_workspace_cannot_name_the_host(client: LspClient, host: RunningHost) -> None:
    await initialize(client, "")
    client.notify("workspace/didChangeConfiguration", {"settings": {"riskLsp": {"remoteHost": host.url}}})
    client.open(URI, PROGRAM)
    await client.notification(ANALYSED)
    assert "remoteHost" in messages(client)[0] and "a workspace may not set it" in messages(client)[0]
    await ready_with(client, default_bundle_path().name)


async def test_the_user_may_turn_to_a_host_and_back(client: LspClient, host: RunningHost) -> None:
    await initialize(client, "")
    client.open(URI, PROGRAM)
    await ready_with(client, "default")
    for address, bundle in ((host.url, "tiny"), ("", "default")):
        seen = len(client.received)
        client.notify("riskLsp/userSettings", {"threshold": 0.0, "threads": 1, "remoteHost": address})
        await ready_with(client, bundle, seen)
        await client.notification(ANALYSED, seen)
    assert messages(client) == []
