"""The embedded default served over HTTP by a process of its own, as servers of models do: streamed, token by token.

Started as a program with a key, which it demands, it says its port. It knows the chat protocol and `GET /requests`,
which tells what became of what it was asked. It writes as many tokens as are asked for: an end of text is a line break.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.generation import Prompt, continuations, prompt_tokens
from risk_lsp.risk.engine import Engine

_ROOT = Path(__file__).parents[2]
_AT_ONCE = 256  # new tokens, before the model reads the end of all that was said again
_PATIENCE = 30.0


@dataclass
class Asked:
    """One request. state: "reading", "writing", "finished", or "gone" if whoever asked is."""

    tokens: int
    written: int = 0
    state: str = "reading"


@dataclass
class Served:
    """The process, as tests see it."""

    process: subprocess.Popen[str]
    port: int
    key: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def requests(self) -> list[Asked]:
        """What it was asked so far, and how far it is with that."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/requests", timeout=_PATIENCE) as answer:
            return [Asked(**each) for each in json.load(answer)]

    def ended(self, number: int = -1) -> Asked:
        """A request, by default the last one, once it has come and is over."""
        end = time.monotonic() + _PATIENCE
        while True:
            found = self.requests()[number:]
            if found and found[0].state not in ("reading", "writing"):
                return found[0]
            assert time.monotonic() < end, f"still {found[:1]}"
            time.sleep(0.01)

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self.process.kill()
        self.process.wait()


@contextmanager
def served_model(key: str = "sk-served") -> Iterator[Served]:
    """A server at work."""
    command = [sys.executable, "-m", "tests.repair.served_model", key]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        served = Served(process, int(process.stdout.readline()), key)
        try:
            yield served
        finally:
            served.kill()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, model: CodeModel, key: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model = model
        self.key = key
        self.turn = threading.Lock()  # a model writes one answer at a time
        self.asked: list[Asked] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer(200, [asdict(each) for each in self.server.asked])

    def do_POST(self) -> None:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != f"Bearer {self.server.key}":
            self._answer(401, {"error": {"message": "a valid API key is required"}})
            return
        asked = Asked(body["max_tokens"])
        self.server.asked.append(asked)
        try:
            with self.server.turn:
                self._stream(body, asked)
        except (BrokenPipeError, ConnectionResetError):
            asked.state = "gone"
            self.close_connection = True

    def _stream(self, body: dict[str, Any], asked: Asked) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        question = "".join(f"{message['content']}\n\n" for message in body["messages"])

        def send(piece: str) -> None:
            asked.state = "writing"
            self._event({"role": "assistant", "content": piece})

        read = _write(self.server.model, question, body["temperature"], asked, send)
        self._event({}, finished="length")
        usage = {"prompt_tokens": read, "completion_tokens": asked.written, "total_tokens": read + asked.written}
        self._event(None, usage=usage)
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")
        asked.state = "finished"

    def _event(
        self, delta: dict[str, str] | None, *, finished: str | None = None, usage: dict[str, int] | None = None
    ) -> None:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finished}]
        body = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "default", "choices": choices}
        self._chunk(f"data: {json.dumps({**body, 'usage': usage})}\n\n".encode())

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _write(model: CodeModel, question: str, temperature: float, asked: Asked, send: Callable[[str], None]) -> int:
    """Have the model go on with a question; how many tokens of it the model read."""
    text = question
    read: int | None = None
    while asked.written < asked.tokens:
        count = min(_AT_ONCE, asked.tokens - asked.written)
        token_ids = prompt_tokens(model, text, count)
        read = len(token_ids) if read is None else read
        sent = 0

        def show(continuation: str) -> None:
            nonlocal sent
            asked.written += 1
            whole = continuation.rstrip("\ufffd")  # half a character waits for its other half
            send(whole[sent:])
            sent = max(sent, len(whole))

        ((written,),) = continuations(model, [Prompt(token_ids, [asked.written], count, show)], temperature=temperature)
        text += written.text
        if written.ended:
            asked.written += 1
            text += "\n"
            send("\n")
    return read or 0


def main() -> None:
    """Serve until the end of the process."""
    with _Server(Engine.load(threads=1).model, sys.argv[1]) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
