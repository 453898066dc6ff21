"""What an editor sees: the real server process, with the default bundle, over stdin and stdout."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench.figures import Figure, percentile, seconds_of
from benchmarks.bench.lsp import Client
from benchmarks.bench.programs import program

_OTHER = "file:///bench/other.py"


def cold_start(repeat: int) -> Iterator[Figure]:
    """From the start of a process to what a person sees of a 200-line file."""
    text = program(200)
    handshakes, diagnostics, memory = [], [], []
    for _ in range(repeat):
        with Client() as client:
            client.open(text)
            client.diagnostics(1)
            diagnostics.append(time.perf_counter() - client.started)
            handshakes.append(client.handshake)
            memory.append(client.memory())
    yield Figure("handshake, cold", "s", tuple(handshakes), 0.3)
    yield Figure("first diagnostics of 200 lines, cold", "s", tuple(diagnostics), 4, 2.5)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sample.py"
        file.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "risk_lsp", "check", "--no-cache", str(file)]
        checks = tuple(
            seconds_of(lambda: subprocess.run(command, capture_output=True, check=True)) for _ in range(repeat)
        )
    yield Figure("risk-lsp check of 200 lines, cold", "s", checks, 6)
    yield Figure("memory of the server, 200 lines open", "MB", tuple(server for server, _ in memory), 90, 60)
    yield Figure("memory of the worker, 200 lines open", "MB", tuple(worker for _, worker in memory), 600, 400)


def changes(lines: int, count: int) -> Iterator[Figure]:
    """How long the server is busy with one keystroke in a long document, up to its answer to a hover behind it."""
    with Client({"enabled": False}) as client:
        client.open(program(lines))
        client.hover(0)
        alone = [1000 * seconds_of(lambda: client.hover(0)) for _ in range(count)]
        both = []
        for version in range(2, count + 2):
            started = time.perf_counter()
            client.insert(version, lines // 2, 0, "x")
            client.hover(0)
            both.append(1000 * (time.perf_counter() - started))
    busy = percentile(both, 0.99) - percentile(alone, 0.5)
    yield Figure(f"didChange at {lines:,} lines, p99", "ms", (max(0.0, busy),), 5, 1)


def hover_while_busy(lines: int, seconds: float) -> Iterator[Figure]:
    """Hover on a scored document while the worker reads a long one."""
    with Client({"maxCharacters": 1_000_000}) as client:
        client.open(program(200), _OTHER)
        client.diagnostics(1, _OTHER)
        client.open(program(lines))
        found = []
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            found.append(1000 * seconds_of(lambda: client.hover(10, _OTHER)))
            time.sleep(0.01)
    yield Figure(
        "hover while the worker is busy, p99", "ms", (percentile(found, 0.99),), 30, 10, note=f"{len(found)} hovers"
    )


def first_lines(lines: int, repeat: int) -> Iterator[Figure]:
    """A long file that nothing is known of: from its opening to the first numbers, and to all of them."""
    text, first, whole = program(repeat * lines).splitlines(keepends=True), [], []
    with Client({"maxCharacters": 1_000_000}) as client:
        client.open("x = 1\n", _OTHER)
        client.diagnostics(1, _OTHER)
        for number in range(repeat):
            uri, own = f"file:///bench/{number}.py", "".join(text[lines * number : lines * (number + 1)])
            started = time.perf_counter()
            client.open(own, uri)
            client.diagnostics(1, uri)
            first.append(time.perf_counter() - started)
            client.lines(uri)
            whole.append(time.perf_counter() - started)
    yield Figure(f"first numbers of {lines:,} lines, from opening", "s", tuple(first))
    yield Figure(f"all numbers of {lines:,} lines, from opening", "s", tuple(whole))


def reading(repeat: int, bundle: str, lines: int) -> Iterator[Figure]:
    """What a person who types sees of a bundle: the first numbers of 200 lines, those of a line that was edited in a
    file of `lines` lines, and what its worker takes, at rest and right after an edit."""
    first, rest, busy = [], [], []
    edited: tuple[list[float], list[float]] = [], []  # a place for the first time, and once more
    for _ in range(repeat):
        with Client({"bundle": bundle}) as client:
            client.open("x = 1\n", _OTHER)
            client.diagnostics(1, _OTHER)  # the model is loaded
            started = time.perf_counter()
            client.open(program(200))
            client.diagnostics(1)
            first.append(time.perf_counter() - started)
            client.lines()
            time.sleep(2)  # what is free is given back in a pause
            rest.append(client.memory()[1])
            for version in range(2, 6):
                client.insert(version, 40 * version, 0, "#")
                client.lines()
                busy.append(client.memory()[1])
    with Client({"bundle": bundle, "maxCharacters": 1_000_000, "debounce": 0}) as client:
        text = program(lines)
        client.open(text)
        client.lines()
        assigned = [(number, line.index(" = ")) for number, line in enumerate(text.splitlines()) if " = " in line]
        for version in range(2, 2 + 4 * repeat):
            line, character = assigned[version // 2 * 37 % len(assigned)]
            started = time.perf_counter()
            client.insert(version, line, character, "x")
            client.diagnostics(version)
            edited[version % 2].append(time.perf_counter() - started)
            client.lines()
    yield Figure(f"first numbers of 200 lines, from opening, {bundle}", "s", tuple(first), 6)
    yield Figure(f"numbers after the first edit of a place in {lines:,} lines, {bundle}", "s", tuple(edited[0]), 0.5)
    yield Figure(f"numbers after another edit there, {bundle}", "s", tuple(edited[1]), 0.5)
    yield Figure(f"memory of the worker, 200 lines open, {bundle}", "MB", tuple(rest), 1200)
    yield Figure(f"memory of the worker right after an edit, {bundle}", "MB", tuple(busy), 1200)


def writing(repeat: int, bundle: str) -> Iterator[Figure]:
    """What the model writes at the cursor: how long until it is shown, until its numbers are once it is accepted, and
    until a keystroke has ended it; and how long until the body of a function is ended. Each time in a document of its
    own."""
    before, shown, published, ended, cancelled = (
        f"{program(60)}\n\ndef mean(values):\n    return sum(values) / ",
        [],
        [],
        [],
        [],
    )
    line = before.count("\n")
    place = {"line": line, "character": len(before.rpartition("\n")[2])}
    with Client({"inlineCompletion": True, "debounce": 5, "bundle": bundle}) as client:
        for number in range(repeat + 1):  # the first time, things are loaded
            uri = f"file:///bench/{number}.py"
            client.open(before, uri)
            client.lines(uri)
            asked = {"textDocument": {"uri": uri}, "position": place, "context": {"triggerKind": 2}}
            started = time.perf_counter()
            (item,) = client.request("textDocument/inlineCompletion", asked)["items"]
            shown.append(time.perf_counter() - started)
            client.insert(2, line, place["character"], item["insertText"], uri)
            started = time.perf_counter()
            accept = {"command": item["command"]["command"], "arguments": item["command"]["arguments"]}
            client.request("workspace/executeCommand", accept)
            client.diagnostics(2, uri)
            published.append(1000 * (time.perf_counter() - started))
            request = client.ask("textDocument/inlineCompletion", {**asked, "context": {"triggerKind": 1}})
            time.sleep(0.02)  # it has begun
            started = time.perf_counter()
            client.insert(3, 0, 0, "x", uri)
            client.result(request)
            ended.append(1000 * (time.perf_counter() - started))
            cancelled.append(1000 * _seconds_to_cancel_a_body(client, f"file:///bench/body{number}.py"))
    yield Figure(f"first text at the cursor, 60 lines before it, {bundle}", "s", tuple(shown[1:]), 0.7)
    yield Figure(f"numbers of an accepted text, from accepting, {bundle}", "ms", tuple(published[1:]), 50, 20)
    yield Figure(f"end of the writing, from a keystroke, {bundle}", "ms", tuple(ended[1:]), 50, 20)
    yield Figure(f"end of writing a body, from its cancel, {bundle}", "ms", tuple(cancelled[1:]), 50, 20)


def _seconds_to_cancel_a_body(client: Client, uri: str) -> float:
    text = f"{program(60)}\n\ndef mean(values):\n"
    client.open(text, uri)
    place = {"line": text.count("\n") - 1, "character": 0}
    arguments = [uri, {"start": place, "end": place}]
    request = client.ask(
        "workspace/executeCommand",
        {"command": "riskLsp.writeBody", "arguments": arguments, "workDoneToken": uri},
    )
    time.sleep(0.1)  # it has begun
    started = time.perf_counter()
    client.notify("window/workDoneProgress/cancel", {"token": uri})
    client.result(request)
    return time.perf_counter() - started


def memory_after_editing(edits: int) -> Iterator[Figure]:
    """As many edits as an hour of typing brings analyses: one every four seconds; here as fast as they are answered."""
    text = program(400)
    with Client({"debounce": 0}) as client:
        client.open(text)
        client.lines()
        before = client.memory()
        for version in range(2, edits + 2):
            client.insert(version, version * 7 % 400, 0, "x = 1\n" if version % 5 == 0 else "#")
            client.lines()
        after = client.memory()
    yield Figure(
        "memory of the server after an hour's edits", "MB", (after[0],), 90, 60, note=f"{before[0]:.0f} before"
    )
    yield Figure(
        "memory of the worker after an hour's edits", "MB", (after[1],), 600, 400, note=f"{before[1]:.0f} before"
    )
