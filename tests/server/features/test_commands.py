"""Commands: analyse now, snooze, restart; and what is said of wrong arguments."""

from __future__ import annotations

import inspect
import time
from pathlib import Path
from typing import Any

import pytest

from risk_lsp.server.command_table import COMMANDS, LspCommand
from tests.server.lsp_client import LspClient, ResponseError
from tests.server.test_settings_in_force import MESSAGE, loads, runs
from tests.server.test_status import ANALYSED, initialize, status

URI = "file:///project/program.py"
TEXT = "a = 1\nb = 2  # BUG\n"
PLACE = {"line": 0, "character": 0}
GOOD = {"uri": URI, "line": 0, "range": {"start": PLACE, "end": PLACE}, "minutes": 1, '"source" or "stored"': "stored"}


async def test_every_command_of_the_table_is_announced(client: LspClient) -> None:
    capabilities = await client.initialize()
    assert capabilities["executeCommandProvider"]["commands"] == [command.name for command in COMMANDS]


async def test_every_command_says_what_arguments_it_expects(client: LspClient) -> None:
    await client.initialize()
    for command in COMMANDS:
        for place, argument in enumerate(command.arguments):
            good = [GOOD[each.name] for each in command.arguments[:place]]
            with pytest.raises(ResponseError) as caught:
                await client.execute(command.name, *good, {"not": "an argument"})
            usage = ", ".join(each.name for each in command.arguments)
            assert caught.value.code == -32602
            assert caught.value.message == f"{command.name}: expected the arguments [{usage}]; {argument.rule}"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_function_of_a_command_takes_its_arguments(command: LspCommand) -> None:
    taken = list(inspect.signature(command.load()).parameters)
    assert len(taken) == 1 + len(command.arguments) + command.reports_progress


async def test_analyse_now_skips_the_quiet_period(client: LspClient) -> None:
    await client.initialize(initializationOptions={"debounce": 60})
    client.open(URI, "a = 1\n")
    await client.diagnostics(URI, 1)
    client.replace(URI, 2, TEXT)
    assert await client.execute("riskLsp.analyseNow", URI) is None
    assert len(await client.diagnostics(URI, 2)) == 1


async def test_a_snooze_shows_nothing_and_runs_no_model_until_it_is_ended(client: LspClient, tmp_path: Path) -> None:
    await initialize(client, debounce=0.0)
    client.open(URI, TEXT)
    await client.notification(ANALYSED)
    seen = len(client.received)
    await client.execute("riskLsp.snooze", 30)
    assert await client.diagnostics(URI, 1, seen) == []
    assert await client.notification(ANALYSED, seen) == {"uri": URI, "version": 1}
    paused = await status(client, "paused")
    assert paused["until"] == pytest.approx(time.time() + 1800, abs=60)
    assert "nothing is shown" in paused["message"]
    assert (await client.request("riskLsp/lines", {"uri": URI}))["steps"] == [0, 0, 0]
    assert await client.hover(URI, line=1) is None
    client.replace(URI, 2, TEXT + TEXT)
    with pytest.raises(ResponseError, match="paused"):
        await client.execute("riskLsp.analyseNow", URI)
    assert runs(tmp_path) == 1
    seen = len(client.received)
    await client.execute("riskLsp.snooze", 0)
    await status(client, "ready", seen)
    await client.notification(ANALYSED, seen)
    shown = [len(params["diagnostics"]) for params in client.all_of("textDocument/publishDiagnostics")]
    assert shown[-1] == 2


async def test_a_snooze_ends_by_itself(client: LspClient) -> None:
    await initialize(client)
    client.open(URI, TEXT)
    await client.notification(ANALYSED)
    seen = len(client.received)
    await client.execute("riskLsp.snooze", 0.001)
    await status(client, "paused", seen)
    await status(client, "ready", seen)
    assert len(client.all_of("textDocument/publishDiagnostics")[-1]["diagnostics"]) == 1


async def test_restart_replaces_the_models_process_and_scores_again(client: LspClient, tmp_path: Path) -> None:
    await client.initialize()
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    seen = len(client.received)
    await client.execute("riskLsp.restart")
    assert len(await client.diagnostics(URI, 1, seen)) == 1
    assert (len(loads(tmp_path)), client.all_of(MESSAGE)) == (2, [])


async def test_restart_while_a_text_is_read_reads_it_again(client: LspClient, tmp_path: Path) -> None:
    await client.initialize()
    client.open(URI, TEXT + "# STALL\n")
    while not runs(tmp_path):
        await client.execute("riskLsp.analyseNow", URI)
    (tmp_path / "release").touch()
    await client.execute("riskLsp.restart")
    assert len(await client.diagnostics(URI, 1)) == 1


WRONG: list[tuple[str, list[Any] | None, str]] = [
    ("riskLsp.analyseNow", [], "riskLsp.analyseNow: expected the arguments [uri]; the URI is a string"),
    ("riskLsp.analyseNow", ["file:///other"], "file:///other is not an open document"),
    ("riskLsp.snooze", None, "riskLsp.snooze: expected the arguments [minutes]; minutes are a number from 0 to 10080"),
    ("riskLsp.snooze", [-1], "minutes are a number from 0"),
    ("riskLsp.snooze", [True], "minutes are a number from 0"),
    ("riskLsp.unheardOf", [], "unknown command; known are riskLsp.analyseNow, "),
]


async def test_wrong_arguments_are_answered_with_what_was_expected(client: LspClient) -> None:
    await client.initialize()
    for command, arguments, message in WRONG:
        with pytest.raises(ResponseError) as caught:
            await client.request("workspace/executeCommand", {"command": command, "arguments": arguments})
        assert caught.value.code == -32602
        assert message in caught.value.message
    unreadable: list[Any] = [None, [], {"command": 5}]
    for params in unreadable:
        with pytest.raises(ResponseError, match="unknown command"):
            await client.request("workspace/executeCommand", params)


async def test_commands_of_a_server_that_is_turned_off_say_so(client: LspClient) -> None:
    await client.initialize(initializationOptions={"enabled": False})
    client.open(URI, TEXT)
    with pytest.raises(ResponseError, match="turned off"):
        await client.execute("riskLsp.analyseNow", URI)
    with pytest.raises(ResponseError, match="the model is not running"):
        await client.execute("riskLsp.restart")
