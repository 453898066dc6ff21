"""How soon a person gets an answer, and what it costs in memory, with the embedded default.

    python benchmarks/startup_and_memory.py [--repeat N]

Prints Markdown: handshake and first diagnostics of `risk-lsp serve` on a 200-line file, resident memory of server and
worker after it, and wall time of `risk-lsp check` on the same file in a fresh process. Medians, and the range.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

_FUNCTION = '''
def count_matches_{n}(items, target):
    """Return how many items are equal to target."""
    total = 0
    for item in items:
        if item == target:
            total += 1
    return total
'''


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    text = "".join(_FUNCTION.format(n=n) for n in range(25))
    sessions = [_session(text) for _ in range(repeat)]
    checks = [_check(text) for _ in range(repeat)]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| what | median | range |\n|---|---|---|")
    for name, unit in (
        ("handshake", "s"),
        ("first diagnostics", "s"),
        ("server memory", "MB"),
        ("worker memory", "MB"),
    ):
        _row(f"{name} (200 lines)" if name == "first diagnostics" else name, [each[name] for each in sessions], unit)
    _row("risk-lsp check, cold (200 lines)", checks, "s")
    return 0


def _row(name: str, values: list[float], unit: str) -> None:
    digits = 2 if unit == "s" else 0
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    print(f"| {name} | {statistics.median(values):.{digits}f} {unit} | {low}-{high} |")


def _session(text: str) -> dict[str, float]:
    started = time.monotonic()
    command = [sys.executable, "-m", "risk_lsp", "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdin is not None and server.stdout is not None
        options = {"threshold": 0.0}
        _send(
            server.stdin,
            "initialize",
            {"processId": None, "rootUri": None, "capabilities": {}, "initializationOptions": options},
            1,
        )
        _until(server.stdout, lambda message: message.get("id") == 1)
        handshake = time.monotonic() - started
        _send(server.stdin, "initialized", {})
        document = {"uri": "file:///a.py", "languageId": "python", "version": 1, "text": text}
        _send(server.stdin, "textDocument/didOpen", {"textDocument": document})
        _until(server.stdout, lambda message: bool(message.get("params", {}).get("diagnostics")))
        diagnostics = time.monotonic() - started
        memory = _resident(server.pid), max(map(_resident, _children(server.pid)))
        _send(server.stdin, "shutdown", None, 2)
        _until(server.stdout, lambda message: message.get("id") == 2)
        _send(server.stdin, "exit", None)
    return {
        "handshake": handshake,
        "first diagnostics": diagnostics,
        "server memory": memory[0],
        "worker memory": memory[1],
    }


def _check(text: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.py"
        path.write_text(text, encoding="utf-8")
        started = time.monotonic()
        command = [sys.executable, "-m", "risk_lsp", "check", "--no-cache", str(path)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        return time.monotonic() - started


def _send(stream: IO[bytes], method: str, params: Any, number: int | None = None) -> None:
    message = {"jsonrpc": "2.0", "method": method, "params": params} | ({} if number is None else {"id": number})
    body = json.dumps(message).encode()
    stream.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    stream.flush()


def _until(stream: IO[bytes], wanted: Any) -> None:
    while True:
        length = 0
        while line := stream.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        if not length:
            raise SystemExit("the server went away")
        if wanted(json.loads(stream.read(length))):
            return


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _resident(pid: int) -> float:
    """Resident memory in MB (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    sys.exit(main())
