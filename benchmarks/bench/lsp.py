"""A client of the real server process, over its stdin and stdout, that does nothing but wait and measure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

URI = "file:///bench/program.py"


class Client:
    """One server. A context manager: the server is shut down at the end."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        self.started = time.perf_counter()
        command = [sys.executable, "-m", "risk_lsp", "serve"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        self._number = 0
        self._kept: list[dict[str, Any]] = []
        # What others left on disk would be measured instead of the model.
        chosen = {"threshold": 0.0, "diskCacheMegabytes": 0, **(options or {})}
        parameters = {"processId": None, "rootUri": None, "capabilities": {}, "initializationOptions": chosen}
        self.request("initialize", parameters)
        self.handshake = time.perf_counter() - self.started
        self.notify("initialized", {})

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.request("shutdown", None)
        self.notify("exit", None)
        self._process.wait(30)

    def open(self, text: str, uri: str = URI) -> None:
        """textDocument/didOpen."""
        document = {"uri": uri, "languageId": "python", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def insert(self, version: int, line: int, character: int, text: str, uri: str = URI) -> None:
        """textDocument/didChange with one insertion."""
        place = {"line": line, "character": character}
        change = {"range": {"start": place, "end": place}, "text": text}
        parameters = {"textDocument": {"uri": uri, "version": version}, "contentChanges": [change]}
        self.notify("textDocument/didChange", parameters)

    def hover(self, line: int, uri: str = URI) -> Any:
        """textDocument/hover at the start of a line."""
        place = {"line": line, "character": 4}
        return self.request("textDocument/hover", {"textDocument": {"uri": uri}, "position": place})

    def diagnostics(self, version: int, uri: str = URI) -> None:
        """Wait for the diagnostics of a version."""
        self._until(
            lambda message: (
                message.get("method") == "textDocument/publishDiagnostics"
                and message["params"]["uri"] == uri
                and message["params"].get("version") == version
            )
        )

    def lines(self, uri: str = URI) -> None:
        """Wait until all lines of the newest version are known."""
        self.request("riskLsp/lines", {"uri": uri})
        self._kept.clear()  # diagnostics of before that are nobody's business any more

    def request(self, method: str, params: Any) -> Any:
        """The result of a request."""
        return self.result(self.ask(method, params))

    def ask(self, method: str, params: Any) -> int:
        """Send a request; its id."""
        self._number += 1
        self._send({"method": method, "params": params, "id": self._number})
        return self._number

    def result(self, number: int) -> Any:
        """The result of the request with this id."""
        return self._until(lambda message: message.get("id") == number and "method" not in message).get("result")

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def memory(self) -> tuple[float, float]:
        """Resident megabytes of the server and of its worker (Linux)."""
        server = self._process.pid
        workers = Path(f"/proc/{server}/task/{server}/children").read_text("ascii").split()
        return _resident(server), max((_resident(int(worker)) for worker in workers), default=0.0)

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        for place, message in enumerate(self._kept):
            if wanted(message):
                return self._kept.pop(place)
        while True:
            message = self._next()
            if wanted(message):
                return message
            if "id" in message and "method" in message:  # a request of the server: nothing to say
                self._send({"id": message["id"], "result": None})
            elif message.get("method") == "textDocument/publishDiagnostics":
                self._kept.append(message)

    def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        if not length:
            raise SystemExit("the server went away")
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message


def _resident(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
