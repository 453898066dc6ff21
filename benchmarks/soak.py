"""An hour at the keyboard: simulated typing at human speed, with the real server and the built-in model over stdio.

    python -m benchmarks.soak [--minutes 60] [--seed 0] [--json FILE]

Types bursts into one of five programs of 200 lines, reads for a while, hovers, types again; in the end it leaves the
server alone for a while. What the worker remembers of earlier versions is held at 24 MB (setting cacheMegabytes), and
filled before the clock starts, so that what grows after that is a leak. Prints Markdown, and exits with 1 unless

- memory of server and worker is flat: what both hold at rest, when freed memory is back with the system, grows by at
  most 5 % from before the first key to after the last one,
- no diagnostics are stale: after every burst they are of the newest version, on the lines where the text now is,
- an idle server is idle: below 1 % of one core.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.server.lsp_client import LspClient

_DOCUMENTS, _LINES = 5, 200
SECONDS_PER_KEY = (0.08, 0.3)  # a quick and a slow typist's
SECONDS_OF_READING = (1.5, 5.0)
_SECONDS_BETWEEN_SAMPLES = 2.0
_CACHE_MEGABYTES, _WARM_UPS = 24, 40
_SECONDS_TO_REST = 4.0  # the worker gives freed memory back after a second without a question
_FLAT, _IDLE = 5.0, 1.0  # per cent
TYPED = [
    "    total += value * 2  # the sum so far",
    "    if index > len(values): return None",
    "    for place, name in enumerate(names):",
    "    result.append((name, total / count))  # 😀",
    "    return sorted(result, key=lambda item: item[1])",
    "def count_up(values, limit=10):",
]
FUNCTION = """
def matches_{n}(items, target):
    count = 0
    for place, item in enumerate(items):
        if item == target and place <= {n}:
            count += 1
    return count
"""


@dataclass
class Document:
    """A program as the person sees it."""

    uri: str
    lines: list[str]
    version: int = 1

    @property
    def text(self) -> str:
        """What the server should have."""
        return "\n".join(self.lines)


@dataclass
class Figures:
    """What was seen. Memory in MB: at rest before and after the typing, and by the seconds from the start."""

    minutes: float
    keys: int = 0
    bursts: int = 0
    published: int = 0
    stale: int = 0
    hover_ms: list[float] = field(default_factory=list)
    server_mb: list[tuple[float, float]] = field(default_factory=list)
    worker_mb: list[tuple[float, float]] = field(default_factory=list)
    server_at_rest_mb: list[float] = field(default_factory=list)
    worker_at_rest_mb: list[float] = field(default_factory=list)
    idle_percent: float = 0.0


async def soak(minutes: float, seed: int) -> Figures:
    """Type for so long; the last eighth of the time is idle."""
    chance, figures = random.Random(seed), Figures(minutes)
    home = tempfile.mkdtemp(prefix="soak-")  # so that nothing is known from an earlier run
    own = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"), home)
    client = await LspClient.start([sys.executable, "-m", "risk_lsp", "serve"], env={**os.environ, **own})
    try:
        settings = {"threshold": 0.1, "cacheMegabytes": _CACHE_MEGABYTES}
        await client.initialize("emacs30-eglot", initializationOptions=settings)
        documents = [_document(number) for number in range(_DOCUMENTS)]
        for document in documents:
            client.open(document.uri, document.text)
            await client.diagnostics(document.uri, 1)
        for place in range(_WARM_UPS):
            await _warm_up(client, documents[place % _DOCUMENTS], chance)
        await _rest(client, figures)
        started = time.monotonic()
        sampling = asyncio.create_task(_sample(client, figures, started))
        while time.monotonic() - started < 60 * minutes * 7 / 8:
            await _work_a_little(client, chance.choice(documents), chance, figures)
        sampling.cancel()
        figures.published = len(client.all_of("textDocument/publishDiagnostics"))
        for document in documents:  # what the last key set off is done by then, however slow the machine
            await client.request("riskLsp/lines", {"uri": document.uri})
        await _rest(client, figures)
        figures.idle_percent = await _idle_percent(client, 60 * minutes / 8)
        await client.shut_down()
    finally:
        await client.kill()
        shutil.rmtree(home)
    return figures


async def _warm_up(client: LspClient, document: Document, chance: random.Random) -> None:
    """Insert a line, or take ten away, and see the numbers."""
    seen = len(client.received)
    if len(document.lines) > _LINES:
        _delete(client, document, chance)
    else:
        line, typed = chance.randrange(len(document.lines)), chance.choice(TYPED)
        document.lines.insert(line, typed)
        _send(client, document, line, 0, line, 0, f"{typed}\n")
    await client.diagnostics(document.uri, document.version, seen)


async def _rest(client: LspClient, figures: Figures) -> None:
    """Leave both processes alone, and see what they hold."""
    await asyncio.sleep(_SECONDS_TO_REST)
    figures.server_at_rest_mb.append(_resident_mb(client.process.pid))
    figures.worker_at_rest_mb.append(max(map(_resident_mb, _children(client.process.pid)), default=0.0))


async def _work_a_little(client: LspClient, document: Document, chance: random.Random, figures: Figures) -> None:
    """Type a line, or take some away; then read, hover, and look at the underlines."""
    seen = len(client.received)
    if len(document.lines) > _LINES:
        _delete(client, document, chance)
        figures.keys += 1
    else:
        await _type_a_line(client, document, chance, figures)
    figures.bursts += 1
    await asyncio.sleep(chance.uniform(*SECONDS_OF_READING))
    began = time.monotonic()
    await client.hover(document.uri, chance.randrange(len(document.lines)))
    figures.hover_ms.append(1000 * (time.monotonic() - began))
    answer = await client.request("riskLsp/lines", {"uri": document.uri})
    figures.stale += answer["version"] != document.version
    shown = await client.diagnostics(document.uri, document.version, seen)
    figures.stale += not all(_is_where_its_line_is(document, each) for each in shown)


async def _type_a_line(client: LspClient, document: Document, chance: random.Random, figures: Figures) -> None:
    line = chance.randrange(len(document.lines))
    document.lines.insert(line, "")
    _send(client, document, line, 0, line, 0, "\n")
    for column, key in enumerate(chance.choice(TYPED)):
        await asyncio.sleep(chance.uniform(*SECONDS_PER_KEY))
        document.lines[line] += key
        _send(client, document, line, column, line, column, key)
        figures.keys += 1


def _delete(client: LspClient, document: Document, chance: random.Random) -> None:
    line = chance.randrange(_LINES - 20)
    del document.lines[line : line + 10]
    _send(client, document, line, 0, line + 10, 0, "")


def _send(client: LspClient, document: Document, line: int, column: int, end: int, end_column: int, text: str) -> None:
    document.version += 1
    places = {"start": {"line": line, "character": column}, "end": {"line": end, "character": end_column}}
    client.change(document.uri, document.version, {"range": places, "text": text})


def _is_where_its_line_is(document: Document, diagnostic: dict[str, Any]) -> bool:
    start, end = diagnostic["range"]["start"], diagnostic["range"]["end"]
    if start["line"] != end["line"] or start["line"] >= len(document.lines):
        return False
    line = document.lines[start["line"]]
    return bool(line[start["character"] : end["character"]] == line.strip())


def _document(number: int) -> Document:
    text = "".join(FUNCTION.format(n=n) for n in range(_LINES // 7))
    return Document(f"file:///project/soak_{number}.py", text.split("\n"))


async def _sample(client: LspClient, figures: Figures, started: float) -> None:
    while True:
        at = round(time.monotonic() - started, 1)
        figures.server_mb.append((at, _resident_mb(client.process.pid)))
        figures.worker_mb.append((at, max(map(_resident_mb, _children(client.process.pid)), default=0.0)))
        await asyncio.sleep(_SECONDS_BETWEEN_SAMPLES)


async def _idle_percent(client: LspClient, seconds: float) -> float:
    """How much of one core both processes use while nobody does anything."""
    processes = [client.process.pid, *_children(client.process.pid)]
    before = sum(map(_cpu_seconds, processes))
    await asyncio.sleep(seconds)
    return 100 * (sum(map(_cpu_seconds, processes)) - before) / seconds


def _children(process_id: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()]


def _resident_mb(process_id: int) -> float:
    pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _cpu_seconds(process_id: int) -> float:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def growth_percent(at_rest_mb: list[float]) -> float:
    """By how much more is held after the typing than before it."""
    before, after = at_rest_mb
    return 100 * (after - before) / before


def _table(figures: Figures) -> str:
    hover = sorted(figures.hover_ms)
    rows = [
        ("time", f"{figures.minutes:g} minutes"),
        ("keys typed, in bursts", f"{figures.keys:,}, {figures.bursts:,}"),
        ("diagnostics published, stale", f"{figures.published:,}, {figures.stale}"),
        ("hover, median and longest", f"{statistics.median(hover):.1f} ms, {hover[-1]:.1f} ms"),
        ("server memory: highest; at rest, growth", _memory(figures.server_mb, figures.server_at_rest_mb)),
        ("worker memory: highest; at rest, growth", _memory(figures.worker_mb, figures.worker_at_rest_mb)),
        ("idle, of one core", f"{figures.idle_percent:.2f} %"),
    ]
    return "| what | figure |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in rows)


def _memory(samples: list[tuple[float, float]], at_rest_mb: list[float]) -> str:
    highest = max(megabytes for _, megabytes in samples)
    return f"{highest:.0f} MB; {at_rest_mb[-1]:.0f} MB, {growth_percent(at_rest_mb):+.1f} %"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = asyncio.run(soak(options.minutes, options.seed))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n\n{_table(figures)}")
    if options.json is not None:
        options.json.write_text(json.dumps(asdict(figures)) + "\n", encoding="utf-8")
    growth = max(growth_percent(figures.server_at_rest_mb), growth_percent(figures.worker_at_rest_mb))
    return int(growth > _FLAT or figures.stale > 0 or figures.idle_percent > _IDLE)


if __name__ == "__main__":
    sys.exit(main())
