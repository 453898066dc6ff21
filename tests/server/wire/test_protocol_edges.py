"""Every request has one answer, nothing pops up at the person, nothing of the user's source is logged."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.server.lsp_client import LspClient, ResponseError, server_command

URI = "file:///project/program.py"
TEXT = "password = 'hunter2'  # BUG\n"


async def error_of(client: LspClient, method: str, params: Any = None) -> int:
    with pytest.raises(ResponseError) as caught:
        await client.request(method, params)
    return caught.value.code


async def is_alive(client: LspClient) -> bool:
    return await client.hover("file:///nothing", line=0) is None


async def test_a_request_before_initialize_is_refused(client: LspClient) -> None:
    assert await error_of(client, "textDocument/hover", {}) == -32002
    await client.initialize()
    assert await is_alive(client)


async def test_notifications_before_initialize_are_dropped(client: LspClient) -> None:
    client.open(URI, TEXT)
    await client.initialize()
    with pytest.raises(ResponseError, match="is not an open document"):
        await client.request("riskLsp/lines", {"uri": URI})


async def test_initialize_without_params_can_be_tried_again(client: LspClient) -> None:
    assert await error_of(client, "initialize") == -32602
    assert await client.initialize()


async def test_a_second_initialize_is_refused(client: LspClient) -> None:
    await client.initialize()
    assert await error_of(client, "initialize", {"capabilities": {}}) == -32600


async def test_requests_after_shutdown_are_refused(client: LspClient) -> None:
    await client.initialize()
    await client.request("shutdown")
    assert await error_of(client, "textDocument/hover", {}) == -32600
    client.notify("exit")
    assert await client.ended() == 0


@pytest.mark.parametrize("initialized", [False, True])
async def test_what_is_no_message_gets_an_error_and_no_popup(client: LspClient, initialized: bool) -> None:
    if initialized:
        await client.initialize()
    for body, code in ((b"{not json", -32700), (b"\xff\xfe", -32700), (b"[1, 2]", -32600)):
        seen = len(client.received)
        client.send_bytes(body)
        answer = await client.message(lambda message: "error" in message, seen)
        assert (answer["id"], answer["error"]["code"]) == (None, code)
    if not initialized:
        await client.initialize()
    assert await is_alive(client)
    assert client.all_of("window/showMessage") == []


async def test_params_that_do_not_fit_are_answered(client: LspClient) -> None:
    await client.initialize()
    unfit: list[Any] = [None, [], {}, {"textDocument": 5}, {"textDocument": {"uri": URI}, "position": {"line": "a"}}]
    assert [await error_of(client, "textDocument/hover", params) for params in unfit] == [-32602] * len(unfit)
    assert await is_alive(client)


async def test_an_unknown_request_is_answered_and_an_unknown_notification_dropped(client: LspClient) -> None:
    await client.initialize()
    client.notify("workspace/unheardOf", {})
    client.notify("$/unheardOf", {})
    assert await error_of(client, "workspace/unheardOf", {}) == -32601
    assert await is_alive(client)


async def test_bad_notifications_and_edits_of_unopened_documents_pass_without_a_popup(client: LspClient) -> None:
    await client.initialize()
    client.notify("textDocument/didOpen", {"textDocument": {"uri": URI}})
    client.notify("textDocument/didOpen", None)
    client.replace("file:///unopened", 2, TEXT)
    client.close("file:///unopened")
    assert await is_alive(client)
    assert client.all_of("window/showMessage") == []


async def test_header_names_may_be_in_any_case_and_others_may_follow(client: LspClient) -> None:
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "shutdown"}'
    client.send_bytes(body, header="Content-Type: application/vscode-jsonrpc; charset=utf-8\r\ncontent-length")
    answer = await client.message(lambda message: message.get("id") == 1)
    assert answer["error"]["code"] == -32002


async def test_a_stream_that_is_not_the_protocol_ends_the_server(client: LspClient) -> None:
    await client.initialize()
    client.send_bytes(b"", header="GET / HTTP/1.1\r\nHost")
    assert await client.ended() == 1


async def test_client_capabilities_newer_than_the_library_do_no_harm(client: LspClient) -> None:
    said = {"general": {"positionEncodings": ["utf-64", "utf-32"]}, "textDocument": {"hover": 5}, "workspace": []}
    capabilities = await client.initialize(capabilities=said)
    assert capabilities["positionEncoding"] == "utf-32"
    client.open(URI, "🐍🐍 = BUG")
    (diagnostic,) = await client.diagnostics(URI, 1)
    assert diagnostic["range"]["end"]["character"] == 8


async def test_a_version_that_goes_back_is_taken_with_its_text(client: LspClient) -> None:
    await client.initialize(initializationOptions={"debounce": 0.0})
    client.open(URI, "x = 1\n", version=7)
    await client.diagnostics(URI, 7)
    client.replace(URI, 3, TEXT)
    assert len(await client.diagnostics(URI, 3)) == 1


async def test_the_log_holds_nothing_of_the_users_source(tmp_path: Path) -> None:
    client = await LspClient.start(server_command(tmp_path, log_level="debug"), stderr=asyncio.subprocess.PIPE)
    await client.initialize(initializationOptions={"debounce": 0.0})
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    client.notify("textDocument/didChange", {"textDocument": {"uri": URI}, "contentChanges": [TEXT]})
    client.send_bytes(b'"hunter2')
    client.replace(URI, 2, "CRASH " + TEXT)
    await client.notification("window/showMessage")
    client.replace(URI, 3, TEXT)
    await client.diagnostics(URI, 3)
    await client.shut_down()
    assert client.process.stderr is not None
    log = (await client.process.stderr.read()).decode()
    assert log
    assert "hunter2" not in log
