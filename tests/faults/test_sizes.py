"""Large files, long lines, many documents."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.faults.conftest import Start, memory_of
from tests.server.lsp_client import LspClient

URI = "file:///project/program.py"


def insertion(line: int, character: int, text: str) -> dict[str, object]:
    at = {"line": line, "character": character}
    return {"range": {"start": at, "end": at}, "text": text}


async def hover_text(client: LspClient, line: int) -> str:
    hover = await client.hover(URI, line)
    assert hover is not None
    return str(hover["contents"]["value"])


async def test_ten_megabytes_are_kept_in_step_and_not_scored(start: Start, figure: Callable[[str], None]) -> None:
    client = await start()
    await client.initialize("emacs30-eglot", initializationOptions={"debounce": 0.0})
    line = "value = compute(1234567890)  # a line of fifty byte\n"
    client.open(URI, line * (10_000_000 // len(line)))
    assert await client.diagnostics(URI, 1) == []
    began = time.monotonic()
    for version in range(2, 102):
        client.change(URI, version, insertion(version * 100, 0, "x"))
    assert "documents over 200,000 are not scored" in await hover_text(client, 0)
    seconds = time.monotonic() - began
    client.change(
        URI,
        102,
        {"range": {"start": {"line": 3, "character": 0}, "end": {"line": 10**6, "character": 0}}, "text": "BUG"},
    )
    assert [each["range"]["start"]["line"] for each in await client.diagnostics(URI, 102)] == [3]
    figure(f"100 edits and a hover in {1000 * seconds:.0f} ms, {memory_of(client.process.pid):.0f} MB")


async def test_a_line_of_a_megabyte_is_scored_and_edited(start: Start, figure: Callable[[str], None]) -> None:
    client = await start()
    await client.initialize("emacs30-eglot", initializationOptions={"debounce": 0.0, "maxCharacters": 2_000_000})
    client.open(URI, "items = [" + "1234, " * 170_000 + "]  # BUG")
    assert len(await client.diagnostics(URI, 1)) == 1
    began = time.monotonic()
    for version in range(2, 7):
        client.change(URI, version, insertion(0, 500_000, "😀"))
    (found,) = await client.diagnostics(URI, 6)
    seconds = time.monotonic() - began
    assert found["range"]["end"]["character"] == len("items = [" + "1234, " * 170_000 + "]  # BUG") + 5
    assert "likely" in await hover_text(client, 0) or "chance" in await hover_text(client, 0)
    figure(f"5 edits in its middle, scored again after {seconds:.1f} s, {memory_of(client.process.pid):.0f} MB")


async def test_two_hundred_documents_are_all_analysed(start: Start, figure: Callable[[str], None]) -> None:
    client = await start()
    await client.initialize("emacs30-eglot", initializationOptions={"debounce": 0.0})
    began = time.monotonic()
    uris = [f"file:///project/{number}.py" for number in range(200)]
    for uri in uris:
        client.open(uri, "def f(x):\n    return x  # BUG\n" * 50)
    for uri in uris:
        assert len(await client.diagnostics(uri, 1)) == 8
    seconds = time.monotonic() - began
    for uri in uris:
        client.change(uri, 2, insertion(0, 0, "\n"))
    for uri in uris:
        assert len(await client.diagnostics(uri, 2)) == 8
    figure(f"opened and analysed in {seconds:.1f} s, {memory_of(client.process.pid):.0f} MB")


async def test_two_hundred_documents_are_all_read_by_the_real_model(
    real: LspClient, long: bool, figure: Callable[[str], None]
) -> None:
    await real.initialize("emacs30-eglot", initializationOptions={"debounce": 0.0, "threshold": 0.0})
    began = time.monotonic()
    program = "def add(a, b):\n    return a - b\n" * (50 if long else 1)
    uris = [f"file:///project/{number}.py" for number in range(200)]
    for number, uri in enumerate(uris):
        real.open(uri, f"number = {number}\n{program}")
    for uri in reversed(uris):  # the newest comes first
        assert await real.diagnostics(uri, 1)
    real.change(uris[100], 2, insertion(0, 0, "x = 1\n"))
    assert await real.diagnostics(uris[100], 2)
    figure(f"read in {time.monotonic() - began:.1f} s, {memory_of(real.process.pid):.0f} MB")


async def test_ten_megabytes_do_not_keep_the_real_model_from_another_document(
    real: LspClient, figure: Callable[[str], None]
) -> None:
    await real.initialize("emacs30-eglot", initializationOptions={"debounce": 0.0, "threshold": 0.0})
    line = "value = compute(1234567890)  # a line of fifty byte\n"
    began = time.monotonic()
    real.open(URI, line * (10_000_000 // len(line)))
    real.open("file:///project/other.py", "x = 1\n")
    assert await real.diagnostics("file:///project/other.py", 1)
    assert "documents over 200,000 are not scored" in await hover_text(real, 0)
    seconds = time.monotonic() - began
    everything = {"start": {"line": 0, "character": 0}, "end": {"line": 10**6, "character": 0}}
    real.change(URI, 2, {"range": everything, "text": "y = 2\n"})
    assert [each["range"]["start"]["line"] for each in await real.diagnostics(URI, 2)] == [0]
    figure(f"another document is read after {seconds:.1f} s, the large one once it is small")
