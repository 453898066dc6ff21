"""A full disk, a home that cannot be written, a clock that jumps, another server: work goes on, and people are told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import Start
from tests.server.lsp_client import LspClient, ResponseError

URI = "file:///project/program.py"
TEXT = "a = 1\nb = 2  # BUG\nc = 3\n"


async def opened(client: LspClient, uri: str = URI, text: str = TEXT) -> LspClient:
    """The client with a document that has been analysed."""
    await client.initialize("emacs30-eglot", initializationOptions={"debounce": 0.0})
    client.open(uri, text)
    assert await client.diagnostics(uri, 1)
    return client


async def still_works(client: LspClient) -> bool:
    client.replace(URI, 2, "\n" + TEXT)
    (found,) = await client.diagnostics(URI, 2)
    return bool(found["range"]["start"]["line"] == 2)


async def test_a_full_disk_is_named_and_what_was_remembered_stays(
    start: Start, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    before = await opened(await start())
    await before.execute("riskLsp.ignoreLine", URI, 0, "stored")
    await before.shut_down()
    client = await opened(await start(file_size=0))
    with pytest.raises(ResponseError, match=r"cannot be written: .* \(make the folder writable, or ignore the line by"):
        await client.execute("riskLsp.ignoreLine", URI, 1, "stored")
    (kept,) = (tmp_path / "data" / "ignored").glob("*.json")
    assert kept.stat().st_size > 0
    assert await still_works(client)
    figure("one error with a way out, nothing half written, scoring goes on")


async def test_a_log_that_cannot_be_written_disturbs_nobody(start: Start, figure: Callable[[str], None]) -> None:
    with Path("/dev/full").open("wb") as full:
        client = await opened(await start(process={"stderr": full}, log_level="debug"))
    client.notify("textDocument/didOpen", {"textDocument": {"uri": 5}})  # something to log
    assert await still_works(client)
    assert await client.shut_down() == 0
    figure("no message lost")


def test_what_a_full_disk_left_of_the_log_is_not_the_exit_status() -> None:
    code = "import sys; from risk_lsp.server import app; sys.stderr.buffer.write(b'x'); app.let_go_of_the_log()"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("wb") as full:
        assert subprocess.run([sys.executable, "-c", code], stderr=full, env=buffered, check=False).returncode == 0


async def test_a_home_that_cannot_be_written_is_named(start: Start, figure: Callable[[str], None]) -> None:
    environment = {
        **os.environ,
        "HOME": "/proc/nobody",
        "XDG_DATA_HOME": "/proc/nobody",
        "XDG_CACHE_HOME": "/proc/nobody",
    }
    client = await opened(await start(process={"env": environment}, data_folder=None))
    with pytest.raises(ResponseError, match="/proc/nobody/risk-lsp/ignored cannot be written"):
        await client.execute("riskLsp.ignoreLine", URI, 1, "stored")
    assert await still_works(client)
    figure("one error with a way out, scoring goes on")


async def test_a_clock_that_jumps_changes_nothing_but_the_time_shown(
    start: Start, figure: Callable[[str], None]
) -> None:
    client = await opened(await start(jumping_clock=True))
    seen = len(client.received)
    await client.execute("riskLsp.snooze", 0.02)
    assert await client.diagnostics(URI, 1, seen) == []
    await client.message(
        lambda message: bool(message.get("params", {}).get("diagnostics")), seen
    )  # the pause of 1.2 s ends
    for line in range(2):
        await client.execute("riskLsp.ignoreLine", URI, line, "stored")
    assert await client.execute("riskLsp.stopIgnoring", URI, 1) is True
    assert await still_works(client)
    figure("a pause ends on time, remembered lines are found")


async def test_two_servers_on_one_folder_lose_nothing(start: Start, figure: Callable[[str], None]) -> None:
    text = "".join(f"value_{line} = {line}  # BUG\n" for line in range(20))
    servers = [await opened(await start(), text=text) for _ in range(2)]
    sent = [
        (
            servers[line % 2],
            servers[line % 2].send_request(
                "workspace/executeCommand", {"command": "riskLsp.ignoreLine", "arguments": [URI, line, "stored"]}
            ),
        )
        for line in range(20)
    ]
    for server, request in sent:
        await server.result_of(request)
    for server in servers:
        server.change(URI, 2)
        assert (await server.request("riskLsp/lines", {"uri": URI}))["lines"][:20] == [None] * 20
    figure("20 lines remembered by two servers at once, both know all of them")


# Keeps risks of 60 texts where there is room for some of them, each twice in a row, and finds whole ones or nothing.
_SHARER = """
import sys
import numpy as np
from pathlib import Path
from risk_lsp.risk.engine import DiskCache, text_key
from tests.risk.scorers import WordScorer

cache, found = DiskCache(Path(sys.argv[1]), most_bytes=20_000), 0
for turn in range(300):
    text = f"x = {turn // 2 % 60}\\n" * 20
    key, risk = text_key("", text, "python"), WordScorer().score(text)
    known = cache.get(key)
    if known is not None:
        assert np.array_equal(known.token_probabilities(), risk.token_probabilities()), "of another text, or torn"
        found += 1
    cache.put(key, risk)
print(found)
"""


def test_processes_on_one_cache_of_risks_find_whole_ones_and_keep_to_its_limit(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    command = [sys.executable, "-c", _SHARER, str(tmp_path)]
    root = Path(__file__).parents[2]
    sharers = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [sharer.communicate()[0] for sharer in sharers]
    assert [sharer.returncode for sharer in sharers] == [0, 0, 0]
    kept = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    figure(
        f"900 texts kept by three processes, found again: {', '.join(map(str.strip, said))}; {kept:,} bytes are left"
    )
    assert sum(map(int, said)) > 0
    assert kept <= 22_000, "each looks again when it has written a twentieth of the limit"
