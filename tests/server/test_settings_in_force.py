"""Settings take effect without a restart, whoever sends them, and are refused from where they may not come."""

from __future__ import annotations

from pathlib import Path

from tests.server.lsp_client import LspClient, server_command

URI = "file:///project/program.py"
TEXT = "a = 1  # MAYBE\nb = 2  # BUG\n"
MESSAGE = "window/showMessage"


def runs(folder: Path) -> int:
    """How often the worker has read a text."""
    path = folder / "runs"
    return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0


def loads(folder: Path) -> list[str]:
    """What the workers were started with."""
    return (folder / "loads").read_text(encoding="utf-8").splitlines()


async def reconfigure(client: LspClient, configuration: object) -> int:
    """Change the client's configuration; returns the index from which on messages are new."""
    seen = len(client.received)
    client.configuration = configuration
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    return seen


async def test_a_new_threshold_republishes_without_reading_the_text_again(client: LspClient, tmp_path: Path) -> None:
    await client.initialize()
    client.open(URI, TEXT)
    assert len(await client.diagnostics(URI, 1)) == 1
    seen = await reconfigure(client, {"threshold": 0.1})
    assert len(await client.diagnostics(URI, 1, seen)) == 2
    assert (runs(tmp_path), len(loads(tmp_path))) == (1, 1)


async def test_a_new_cap_republishes(client: LspClient) -> None:
    await client.initialize(initializationOptions={"threshold": 0.1})
    client.open(URI, TEXT)
    assert len(await client.diagnostics(URI, 1)) == 2
    seen = await reconfigure(client, {"maxDiagnostics": 1})
    (diagnostic,) = await client.diagnostics(URI, 1, seen)
    assert diagnostic["range"]["start"]["line"] == 1


async def test_configuration_is_asked_for_by_section_once_initialized(client: LspClient) -> None:
    client.configuration = {"threshold": 0.1}
    await client.initialize()
    assert await client.notification("workspace/configuration") == {"items": [{"section": "riskLsp"}]}
    client.open(URI, TEXT)
    assert len(await client.diagnostics(URI, 1)) == 2


async def test_a_client_without_configuration_requests_may_push_settings(client: LspClient) -> None:
    await client.initialize("nvim-0.7")
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    seen = len(client.received)
    client.notify("workspace/didChangeConfiguration", {"settings": {"riskLsp": {"threshold": 0.1}}})
    assert len(await client.diagnostics(URI, 1, seen)) == 2
    assert client.all_of("workspace/configuration") == []


async def test_turning_off_clears_everything_and_turning_on_brings_it_back(client: LspClient) -> None:
    await client.initialize()
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    seen = await reconfigure(client, {"enabled": False})
    assert await client.diagnostics(URI, 1, seen) == []
    assert await client.hover(URI, line=1) is None
    seen = await reconfigure(client, {"enabled": True})
    assert len(await client.diagnostics(URI, 1, seen)) == 1


async def test_all_bad_values_are_named_in_one_message_and_the_rest_counts(client: LspClient) -> None:
    await client.initialize(initializationOptions={"threshold": 7, "treshold": 0.1, "maxDiagnostics": 1})
    message = await client.notification(MESSAGE)
    assert "threshold: expected a number from 0 to 1, got 7" in message["message"]
    assert "treshold: unknown setting; did you mean threshold?" in message["message"]
    client.open(URI, TEXT + "c = 3  # BUG\n")
    assert len(await client.diagnostics(URI, 1)) == 1
    assert len(client.all_of(MESSAGE)) == 1


async def test_the_same_problem_is_not_reported_again(client: LspClient) -> None:
    client.configuration = {"threshold": 7}
    await client.initialize()
    await client.notification(MESSAGE)
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    seen = await reconfigure(client, {"threshold": 7, "maxDiagnostics": 0})
    assert await client.diagnostics(URI, 1, seen) == []
    assert len(client.all_of(MESSAGE)) == 1


async def test_a_workspace_that_names_a_model_is_refused(client: LspClient, tmp_path: Path) -> None:
    client.configuration = {"bundle": "./evil", "threshold": 0.1}
    await client.initialize(initializationOptions={"bundle": "/mine"})
    message = (await client.notification(MESSAGE))["message"]
    assert "bundle: './evil' is refused, because a workspace may not set it" in message
    client.open(URI, TEXT)
    assert len(await client.diagnostics(URI, 1)) == 2, "its other settings count"
    (load,) = loads(tmp_path)
    assert "'bundle': '/mine'" in load


async def test_a_user_may_let_workspaces_name_the_model(client: LspClient, tmp_path: Path) -> None:
    await client.initialize(initializationOptions={"allowWorkspaceModel": True})
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    seen = await reconfigure(client, {"bundle": "/theirs", "threads": 3})
    assert await scored_anew(client, seen) == 1
    assert "'bundle': '/theirs', 'threads': 3" in loads(tmp_path)[-1]
    assert client.all_of(MESSAGE) == []


async def test_the_command_line_wins_over_initialization_options(tmp_path: Path) -> None:
    client = await LspClient.start(server_command(tmp_path, bundle="/given", threads=2))
    try:
        await client.initialize(initializationOptions={"bundle": "/mine"})
        client.open(URI, TEXT)
        await client.diagnostics(URI, 1)
        assert "'bundle': '/given', 'threads': 2" in loads(tmp_path)[0]
    finally:
        await client.kill()


async def test_changes_are_subscribed_to_where_the_client_wants_that(client: LspClient) -> None:
    await client.initialize("vscode-1.139")
    registrations = (await client.notification("client/registerCapability"))["registrations"]
    assert {each["method"]: each["registerOptions"] for each in registrations} == {
        "workspace/didChangeConfiguration": {"section": "riskLsp"},
        "workspace/didChangeWatchedFiles": {"watchers": [{"globPattern": "**/*.{py,pyi,pyw}"}]},
    }


FOLDERS = [{"uri": "file:///project", "name": "project"}, {"uri": "file:///c%3A/other", "name": "other"}]
IN_OTHER = "file:///C:/other/program.py"


async def test_each_folder_has_its_own_settings(client: LspClient) -> None:
    client.configuration_of = {"file:///c%3A/other": {"threshold": 0.1, "maxDiagnostics": 1}}
    await client.initialize(workspaceFolders=FOLDERS)
    assert (await client.notification("workspace/configuration"))["items"] == [
        {"section": "riskLsp"},
        *({"scopeUri": folder["uri"], "section": "riskLsp"} for folder in FOLDERS),
    ]
    client.open(URI, TEXT)
    client.open(IN_OTHER, TEXT + "c = 3  # BUG\n")
    assert [each["range"]["start"]["line"] for each in await client.diagnostics(URI, 1)] == [1]
    assert len(await client.diagnostics(IN_OTHER, 1)) == 1
    seen = len(client.received)
    client.configuration_of = {FOLDERS[0]["uri"]: {"threshold": 0.1}, FOLDERS[1]["uri"]: {"threshold": 0.1}}
    await reconfigure(client, None)
    assert len(await client.diagnostics(IN_OTHER, 1, seen)) == 3
    assert len(await client.diagnostics(URI, 1, seen)) == 2


async def test_one_folder_is_turned_off_while_the_other_is_scored(client: LspClient, tmp_path: Path) -> None:
    client.configuration_of = {"file:///c%3A/other": {"enabled": False}}
    await client.initialize(workspaceFolders=FOLDERS)
    client.open(IN_OTHER, TEXT)
    client.open(URI, TEXT)
    assert len(await client.diagnostics(URI, 1)) == 1
    assert await client.diagnostics(IN_OTHER, 1) == []
    assert await client.hover(IN_OTHER, line=1) is None
    assert runs(tmp_path) == 1


async def test_a_folder_on_keeps_the_model_of_a_workspace_that_is_off(client: LspClient) -> None:
    client.configuration, client.configuration_of = {"enabled": False}, {FOLDERS[0]["uri"]: {"enabled": True}}
    await client.initialize(workspaceFolders=FOLDERS)
    client.open(URI, TEXT)
    assert len(await client.diagnostics(URI, 1)) == 1


async def test_a_folder_that_is_added_is_asked_about(client: LspClient) -> None:
    client.configuration_of = {"file:///c%3A/other": {"threshold": 0.1}}
    await client.initialize(workspaceFolders=FOLDERS[:1])
    client.open(IN_OTHER, TEXT)
    assert len(await client.diagnostics(IN_OTHER, 1)) == 1
    seen = len(client.received)
    client.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": FOLDERS[1:], "removed": []}})
    assert len(await client.diagnostics(IN_OTHER, 1, seen)) == 2


async def test_a_folder_may_not_choose_what_the_process_runs_with(client: LspClient, tmp_path: Path) -> None:
    client.configuration_of = {FOLDERS[0]["uri"]: {"bundle": "./evil", "offline": False, "threshold": 0.1}}
    await client.initialize(initializationOptions={"bundle": "/mine"}, workspaceFolders=FOLDERS)
    message = (await client.notification(MESSAGE))["message"]
    assert "bundle: './evil' is refused" in message and "offline: false is refused" in message
    client.open(URI, TEXT)
    assert len(await client.diagnostics(URI, 1)) == 2
    (load,) = loads(tmp_path)
    assert "'bundle': '/mine'" in load


async def scored_anew(client: LspClient, seen: int) -> int:
    """How many diagnostics come after those of another model were taken back."""
    assert await client.diagnostics(URI, 1, seen) == []
    published = await client.message(
        lambda m: m.get("method") == "textDocument/publishDiagnostics" and m["params"]["diagnostics"] != [], seen
    )
    return len(published["params"]["diagnostics"])


async def say_anew(client: LspClient, settings: object) -> int:
    """Say what the user's own settings are; returns the index from which on messages are new."""
    seen = len(client.received)
    client.notify("riskLsp/userSettings", settings)
    return seen


async def test_the_user_may_choose_another_model_while_the_server_runs(client: LspClient, tmp_path: Path) -> None:
    await client.initialize(initializationOptions={"bundle": "/mine"})
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    seen = await say_anew(client, {"bundle": "/other", "threads": 3})
    assert await scored_anew(client, seen) == 1
    first, second = loads(tmp_path)
    assert "'bundle': '/mine'" in first
    assert "'bundle': '/other', 'threads': 3" in second
    assert client.all_of(MESSAGE) == []


async def test_what_the_user_no_longer_sets_is_as_by_default(client: LspClient) -> None:
    await client.initialize(initializationOptions={"threshold": 0.1})
    client.open(URI, TEXT)
    assert len(await client.diagnostics(URI, 1)) == 2
    seen = await say_anew(client, {})
    assert len(await client.diagnostics(URI, 1, seen)) == 1


async def test_the_users_new_settings_stay_below_those_of_the_workspace(client: LspClient) -> None:
    client.configuration = {"maxDiagnostics": 1}
    await client.initialize(initializationOptions={"threshold": 0.1})
    client.open(URI, TEXT)
    await client.notification("workspace/configuration")
    seen = await say_anew(client, {"threshold": 0.1, "maxDiagnostics": 5, "debounce": 0})
    assert len(await client.diagnostics(URI, 1, seen)) == 1


async def test_a_workspace_still_may_not_choose_the_model_after_the_user_chose_anew(
    client: LspClient, tmp_path: Path
) -> None:
    await client.initialize(initializationOptions={"bundle": "/mine"})
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    seen = await say_anew(client, {"bundle": "/other"})
    await client.diagnostics(URI, 1, seen)
    await reconfigure(client, {"bundle": "/theirs"})
    assert "bundle: '/theirs' is refused" in (await client.notification(MESSAGE))["message"]
    assert "/theirs" not in "".join(loads(tmp_path))


async def test_what_is_wrong_with_the_users_new_settings_is_said_once(client: LspClient) -> None:
    await client.initialize()
    client.open(URI, TEXT)
    await client.diagnostics(URI, 1)
    await say_anew(client, {"threshold": 7})
    assert "threshold: expected a number from 0 to 1, got 7" in (await client.notification(MESSAGE))["message"]
    seen = await say_anew(client, {"threshold": 7, "maxDiagnostics": 0})
    assert await client.diagnostics(URI, 1, seen) == []
    assert len(client.all_of(MESSAGE)) == 1


async def test_the_command_line_wins_over_the_users_new_settings(tmp_path: Path) -> None:
    client = await LspClient.start(server_command(tmp_path, bundle="/given"))
    try:
        await client.initialize()
        client.open(URI, TEXT)
        await client.diagnostics(URI, 1)
        seen = await say_anew(client, {"bundle": "/mine", "threshold": 0.1})
        assert len(await client.diagnostics(URI, 1, seen)) == 2
        assert len(loads(tmp_path)) == 1
    finally:
        await client.kill()
