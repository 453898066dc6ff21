"""A real server that speaks the chat protocol, streamed, with the embedded default behind it.

The default is a small code model that was never taught to answer, so the server lets it write the program: it reads the
program out of the question and lets the model fill in the riskiest line, or what `replies` says first.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from risk_lsp.model.infilling import Infiller
from risk_lsp.repair.model_questions import program_in
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.presentation import code_line_risks, riskiest_lines
from risk_lsp.text.document import LineIndex

Handle = Callable[["Handler"], None]


class ChatServer(ThreadingHTTPServer):
    """Handles one request after the other as `ways` says, then by the model; remembers what it was asked."""

    daemon_threads = True

    def __init__(self, engine: Engine) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.engine = engine
        self.ways: list[Handle] = []
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.arrived = threading.Event()
        self.left = threading.Event()
        self.release = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


@contextmanager
def chat_server(engine: Engine) -> Iterator[ChatServer]:
    """A server at work."""
    with ChatServer(engine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.release.set()
            server.shutdown()
            thread.join()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: ChatServer

    def do_POST(self) -> None:
        self.request_body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(self.request_body)
        self.server.keys.append(self.headers.get("Authorization", ""))
        self.server.arrived.set()
        way = self.server.ways.pop(0) if self.server.ways else write_by_model
        try:
            way(self)
        except (BrokenPipeError, ConnectionResetError):
            self.server.left.set()

    @property
    def question(self) -> str:
        content: str = self.request_body["messages"][-1]["content"]
        return content

    def begin(self, status: int = 200, kind: str = "text/event-stream") -> None:
        """The head of an answer that ends with the connection."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def event(
        self, delta: dict[str, Any] | None, usage: dict[str, int] | None = None, finished: str | None = None
    ) -> None:
        """One piece of a streamed answer."""
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finished}]
        body = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "default", "choices": choices}
        self.wfile.write(f"data: {json.dumps({**body, 'usage': usage})}\n\n".encode())
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def write(*pieces: str, counted: bool = True) -> Handle:
    """An answer in pieces."""

    def way(handler: Handler) -> None:
        handler.begin()
        for piece in pieces:
            handler.event({"role": "assistant", "content": piece})
        handler.event({}, finished="stop")
        if counted:
            handler.event(None, {"prompt_tokens": 40, "completion_tokens": 10, "total_tokens": 50})
        handler.wfile.write(b"data: [DONE]\n\n")

    return way


def write_by_model(handler: Handler) -> None:
    """The program of the question, its riskiest line filled in by the embedded default."""
    program = program_in(handler.question, "\n") or ""
    engine = handler.server.engine
    risk = engine.score(program)
    lines = LineIndex(program)
    (line,) = riskiest_lines(code_line_risks(risk, program, "python"), 1)
    start, end = lines.start(line), lines.content_end(line)
    indented = start + len(program[start:end]) - len(program[start:end].lstrip())
    fills = Infiller(engine.model).fill(program, indented, end, count=4, max_tokens=24)
    made = program[:indented] + (fills[0].text if fills else "pass") + program[end:]
    write(f"The fault is in line {line + 1}.\n", "```python\n", made, "```\n")(handler)


def hang(handler: Handler) -> None:
    """Say nothing until the test ends."""
    handler.server.release.wait()


def hang_after_a_piece(handler: Handler) -> None:
    """Begin an answer, and notice when nobody listens any more."""
    handler.begin()
    while not handler.server.release.wait(0.02):
        handler.event({"content": "."})


def break_off(handler: Handler) -> None:
    """End in the middle of a piece."""
    handler.begin()
    handler.event({"content": "The fa"})
    handler.wfile.write(b'data: {"choices": [{"del')


def write_garbage(handler: Handler) -> None:
    """Something else than the protocol."""
    handler.begin()
    handler.wfile.write(b"data: this is no JSON\n\n")


def be_busy(handler: Handler) -> None:
    """Nothing now, and soon again."""
    handler.send_response(503)
    handler.send_header("retry-after-ms", "10")
    handler.end_headers()


def refuse(handler: Handler) -> None:
    """No such model."""
    handler.begin(404, "application/json")
    handler.wfile.write(b'{"error": {"message": "no such model"}}')
