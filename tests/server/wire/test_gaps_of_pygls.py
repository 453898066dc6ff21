"""Each gap in pygls's protocol layer, twice: closed in this server, and there in plain pygls.

Where a test of the second kind fails because pygls has closed the gap itself, what closes it here may go.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.lsp_client import LspClient, server_command

URI, OTHER = "file:///project/program.py", "file:///project/other.py"
TEXT = "a = 1\f# x\nb = 2\n"
PLAIN = [sys.executable, "-m", "tests.server.wire.plain_pygls"]
ABSENT = 2.0  # seconds in which something that is not to come does not come

CREATE = "window/workDoneProgress/create"


class LateClient(LspClient):
    """A client that can take its time to say that it shows progress."""

    unanswered: list[dict[str, Any]] | None = None  # a list holds answers back

    def answer(self, request: dict[str, Any]) -> None:
        """At once, or later."""
        if self.unanswered is not None and request["method"] == CREATE:
            self.unanswered.append(request)
        else:
            super().answer(request)

    def answer_late(self) -> None:
        """Say what is still to be said."""
        waiting, self.unanswered = self.unanswered or [], None
        for request in waiting:
            self.answer(request)


Check = Callable[[LateClient], Awaitable[bool]]


def code_of(answer: dict[str, Any]) -> int | None:
    """The error code of a response."""
    code = answer.get("error", {}).get("code")
    assert code is None or isinstance(code, int)
    return code


async def outcome_of(client: LspClient, method: str, params: Any = None) -> int | None:
    """The error code of a request; None if it has no error, or is not answered before the next one is."""
    asked = client.send_request(method, params)
    await answer_to(client, client.send_request("riskLsp/unheardOf"))
    answers = [message for message in client.received if message.get("id") == asked]
    return code_of(answers[0]) if answers else None


async def answer_to(client: LspClient, message_id: int) -> dict[str, Any]:
    return await client.message(lambda message: message.get("id") == message_id and "method" not in message)


async def popups_after(client: LspClient) -> list[Any]:
    """What was shown to the person before the next request is answered."""
    await answer_to(client, client.send_request("riskLsp/unheardOf"))
    return client.all_of("window/showMessage")


async def log_of(client: LspClient) -> str:
    """What the server wrote to standard error until its end."""
    client.hang_up()
    await client.ended()
    assert client.process.stderr is not None
    return (await client.process.stderr.read()).decode()


async def unfit_params_are_answered(client: LspClient) -> bool:
    await client.initialize()
    return await outcome_of(client, "textDocument/hover", {"textDocument": 5}) == -32602


async def malformed_json_is_answered_and_not_shown(client: LspClient) -> bool:
    await client.initialize()
    client.send_bytes(b"{not json")
    shown = await popups_after(client)
    return not shown and any(message.get("error", {}).get("code") == -32700 for message in client.received)


async def a_request_before_initialize_is_refused(client: LspClient) -> bool:
    return await outcome_of(client, "textDocument/hover", {"textDocument": {"uri": URI}}) == -32002


async def a_request_after_shutdown_is_refused(client: LspClient) -> bool:
    await client.initialize()
    await client.request("shutdown")
    asked = client.send_request("textDocument/hover", {})
    try:
        return code_of(await asyncio.wait_for(answer_to(client, asked), ABSENT)) == -32600
    except asyncio.TimeoutError:
        return False


async def header_names_are_in_any_case(client: LspClient) -> bool:
    client.send_bytes(b'{"jsonrpc": "2.0", "id": 7, "method": "shutdown"}', header="content-length")
    try:
        return "error" in await asyncio.wait_for(answer_to(client, 7), ABSENT)
    except asyncio.TimeoutError:
        return False


async def an_edit_of_an_unopened_document_is_not_shown(client: LspClient) -> bool:
    await client.initialize()
    client.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    client.change(URI, 2, {"text": TEXT})
    return not await popups_after(client)


async def a_failing_notification_is_not_shown(client: LspClient) -> bool:
    await client.initialize()
    client.notify("textDocument/didOpen", {"textDocument": {"uri": URI}})
    return not await popups_after(client)


async def a_request_that_waits_can_be_cancelled_and_is_answered_once(client: LspClient) -> bool:
    await client.initialize()
    client.open(URI, "STALL")
    asked = client.send_request("riskLsp/lines", {"uri": URI})
    client.notify("$/cancelRequest", {"id": asked})
    client.send({"jsonrpc": "2.0", "id": asked, "result": None})  # an answer to nothing
    code = code_of(await answer_to(client, asked))
    await popups_after(client)
    return code == -32800 and sum(message.get("id") == asked for message in client.received) == 1


async def a_request_that_is_cancelled_before_its_turn_is_not_run(client: LspClient) -> bool:
    await client.initialize()
    client.open(URI, "x = 1")
    place = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 0}}
    client.send_together(
        {"jsonrpc": "2.0", "id": "first", "method": "textDocument/hover", "params": place},
        {"jsonrpc": "2.0", "id": "second", "method": "textDocument/hover", "params": place},
        {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": "second"}},
    )
    outcomes = []
    for asked in ("first", "second"):
        answer = await client.message(lambda message, asked=asked: message.get("id") == asked)  # type: ignore[misc]
        outcomes.append(code_of(answer))
    return outcomes == [None, -32800]


async def a_late_answer_to_what_nobody_waits_for_does_no_harm(client: LateClient) -> bool:
    client.unanswered = []
    await client.initialize("nvim-0.12", initializationOptions={"debounce": 0.0})
    client.open(URI, "ASK = 1")
    asked = client.send_request("riskLsp/lines", {"uri": URI})
    await client.notification(CREATE)
    client.notify("$/cancelRequest", {"id": asked})
    client.open(OTHER, "BUG")
    await client.diagnostics(OTHER, 1)  # by now the model has loaded: there is no progress to show
    client.answer_late()
    return not await popups_after(client) and not client.all_of("$/progress")


async def a_response_with_the_id_of_a_request_does_not_answer_it(client: LspClient) -> bool:
    await client.initialize()
    client.open(URI, "STALL")
    asked = client.send_request("riskLsp/lines", {"uri": URI})
    client.send({"jsonrpc": "2.0", "id": asked, "result": None})
    await popups_after(client)
    if any(message.get("id") == asked and "method" not in message for message in client.received):
        return False
    client.notify("$/cancelRequest", {"id": asked})
    try:
        return code_of(await asyncio.wait_for(answer_to(client, asked), ABSENT)) == -32800
    except asyncio.TimeoutError:
        return False


async def a_client_process_that_dies_ends_the_server(client: LspClient) -> bool:
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as parent:
        await client.initialize(processId=parent.pid)
        await popups_after(client)
        parent.kill()
        parent.wait()
        try:
            await asyncio.wait_for(client.process.wait(), 2 * ABSENT)
        except asyncio.TimeoutError:
            return False
        return True


async def a_client_that_cannot_be_told_anything_any_more_ends_the_server(client: LspClient) -> bool:
    await client.initialize()
    client.stop_reading()
    client.open(URI, "BUG")
    try:
        await asyncio.wait_for(client.process.wait(), 4 * ABSENT)
    except asyncio.TimeoutError:
        return False
    return True


async def a_version_that_goes_back_is_noted_and_its_text_taken(client: LspClient) -> bool:
    await client.initialize("emacs30-eglot", initializationOptions={"debounce": 0.0})
    client.open(URI, "x = 1", version=7)
    client.replace(URI, 3, "y = BUG")
    assert len(await client.diagnostics(URI, 3)) == 1
    return "version went from 7 to 3" in await log_of(client)


async def a_notification_with_an_id_is_answered(client: LspClient) -> bool:
    await client.initialize()
    return await outcome_of(client, "$/setTrace", {"value": "off"}) == -32601


async def a_request_of_another_version_is_answered(client: LspClient) -> bool:
    await client.initialize()
    client.send({"jsonrpc": "1.0", "id": "old", "method": "riskLsp/unheardOf"})
    await popups_after(client)
    return any(message.get("id") == "old" for message in client.received)


async def the_end_of_stdin_ends_the_server_though_work_goes_on(client: LspClient) -> bool:
    await client.initialize()
    client.open(URI, "STALL")
    client.notify("textDocument/didSave", {"textDocument": {"uri": URI}})
    await popups_after(client)
    client.hang_up()
    try:
        await asyncio.wait_for(client.process.wait(), 2 * ABSENT)
    except asyncio.TimeoutError:
        return False
    return True


async def what_fails_is_logged_and_answered_without_the_users_text(client: LspClient) -> bool:
    await client.initialize()
    client.open(URI, "FAIL hunter2")
    await outcome_of(
        client, "textDocument/hover", {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 0}}
    )
    await outcome_of(client, "textDocument/hover", {"textDocument": {"uri": URI}, "position": "hunter2"})
    answers = json.dumps(client.received)
    return "hunter2" not in answers + await log_of(client)


async def what_is_sent_is_not_logged(client: LspClient) -> bool:
    await client.initialize("emacs30-eglot", initializationOptions={"debounce": 0.0})
    client.open(URI, "hunter2 = BUG")
    await client.diagnostics(URI, 1)
    await client.hover(URI, line=0)
    assert "hunter2" in json.dumps(client.received)
    return "hunter2" not in await log_of(client)


async def malformed_json_is_logged_and_not_quoted(client: LspClient) -> bool:
    await client.initialize()
    client.send_bytes(b'{"hunter2')
    await popups_after(client)
    log = await log_of(client)
    return "not JSON" in log and "hunter2" not in log


async def a_form_feed_does_not_end_a_line(client: LspClient) -> bool:
    await client.initialize("emacs30-eglot", initializationOptions={"debounce": 0.0})
    client.open(URI, TEXT)
    at = {"line": 1, "character": 0}
    client.change(URI, 2, {"range": {"start": at, "end": at}, "text": "BUG "})
    (found,) = await client.diagnostics(URI, 2)
    return bool(found["range"]["start"] == at)


async def text_past_the_end_of_the_last_line_goes_there(client: LspClient) -> bool:
    await client.initialize("emacs30-eglot", initializationOptions={"debounce": 0.0})
    client.open(URI, "ab")
    at = {"line": 0, "character": 9}
    client.change(URI, 2, {"range": {"start": at, "end": at}, "text": "\nBUG"})
    (found,) = await client.diagnostics(URI, 2)
    return bool(found["range"]["end"] == {"line": 1, "character": 3})


GAPS: list[Check] = [
    unfit_params_are_answered,
    malformed_json_is_answered_and_not_shown,
    a_request_before_initialize_is_refused,
    a_request_after_shutdown_is_refused,
    header_names_are_in_any_case,
    an_edit_of_an_unopened_document_is_not_shown,
    a_failing_notification_is_not_shown,
    a_request_that_is_cancelled_before_its_turn_is_not_run,
    a_late_answer_to_what_nobody_waits_for_does_no_harm,
    a_response_with_the_id_of_a_request_does_not_answer_it,
    a_notification_with_an_id_is_answered,
    a_request_of_another_version_is_answered,
    the_end_of_stdin_ends_the_server_though_work_goes_on,
    a_client_process_that_dies_ends_the_server,
    a_client_that_cannot_be_told_anything_any_more_ends_the_server,
    a_version_that_goes_back_is_noted_and_its_text_taken,
    what_fails_is_logged_and_answered_without_the_users_text,
    what_is_sent_is_not_logged,
    malformed_json_is_logged_and_not_quoted,
    a_form_feed_does_not_end_a_line,
    text_past_the_end_of_the_last_line_goes_there,
]
# What pygls does as well, and has to go on doing.
KEPT: list[Check] = [a_request_that_waits_can_be_cancelled_and_is_answered_once]


@pytest.fixture
async def plain() -> AsyncIterator[LateClient]:
    """A client of plain pygls."""
    connected = await LateClient.start(PLAIN, stderr=asyncio.subprocess.PIPE)
    assert isinstance(connected, LateClient)
    yield connected
    await connected.kill()


@pytest.mark.parametrize("check", [*GAPS, *KEPT], ids=lambda check: check.__name__)
async def test_here(tmp_path: Path, check: Check) -> None:
    command = server_command(tmp_path, log_level="debug", parent_seconds=0.05)
    client = await LateClient.start(command, stderr=asyncio.subprocess.PIPE)
    assert isinstance(client, LateClient)
    try:
        assert await check(client)
    finally:
        await client.kill()


@pytest.mark.parametrize("check", GAPS, ids=lambda check: check.__name__)
async def test_not_in_plain_pygls(plain: LateClient, check: Check) -> None:
    assert not await check(plain)
