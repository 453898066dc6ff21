"""Whatever an endpoint answers, it is a text or an EndpointError, and nobody else learns the key."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

pytest.importorskip("openai")

from risk_lsp.repair.endpoint import AsyncEndpoint, Endpoint, EndpointError, EndpointOptions

KEY = "sk-secret-key"
ANSWERS: dict[str, tuple[int, str, bytes]] = {
    "nothing": (200, "application/json", b""),
    "bytes": (200, "application/octet-stream", bytes(range(256)) * 10),
    "no JSON": (200, "application/json", b"{"),
    "a list": (200, "application/json", b"[1, 2]"),
    "a word": (200, "application/json", b'"hello"'),
    "null": (200, "application/json", b"null"),
    "no choices": (200, "application/json", b'{"choices": []}'),
    "choices that are none": (200, "application/json", b'{"choices": 5}'),
    "a choice that is none": (200, "application/json", b'{"choices": [7]}'),
    "a message that is none": (200, "application/json", b'{"choices": [{"message": "x"}]}'),
    "content that is none": (200, "application/json", b'{"choices": [{"message": {"content": {"a": 1}}}]}'),
    "nested without end": (200, "application/json", b"[" * 100_000),
    "an error": (500, "text/html", b"<html>" + b"x" * 100_000),
    "a refusal": (401, "application/json", b'{"error": {"message": 5}}'),
    "a stream of nothing": (200, "text/event-stream", b"data: \n\ndata: {}\n\ndata: []\n\n"),
    "a stream of no JSON": (200, "text/event-stream", b"data: {\n\n"),
    "a stream of odd pieces": (200, "text/event-stream", b'data: {"choices": [{"delta": {"content": 5}}]}\n\n'),
}


class Hostile(HTTPServer):
    """Gives the same answer to every request, and remembers what it was told."""

    answer: tuple[int, str, bytes]
    heard: list[dict[str, Any]]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Answer."""
        server = self.server
        assert isinstance(server, Hostile)
        server.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        status, kind, body = server.answer
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Hostile]:
    """An endpoint on this machine."""
    with Hostile(("127.0.0.1", 0), _Handler) as hostile:
        hostile.heard = []
        thread = threading.Thread(target=hostile.serve_forever, daemon=True)
        thread.start()
        yield hostile
        hostile.shutdown()
        thread.join()


def options(server: Hostile) -> EndpointOptions:
    return EndpointOptions("any", f"http://127.0.0.1:{server.server_port}/v1", KEY, timeout=20.0, retries=0)


def test_an_answer_that_is_none_is_an_error_without_the_key(server: Hostile) -> None:
    endpoint = Endpoint(options(server), max_tokens=10)
    for name, answer in ANSWERS.items():
        server.answer = answer
        with pytest.raises(EndpointError) as caught:
            raise (
                EndpointError(f"{name}: a text", "") if endpoint.complete("prompt", 0.0).text else AssertionError(name)
            )
        assert KEY not in str(caught.value), name


async def test_a_stream_that_is_none_is_an_error_without_the_key(server: Hostile) -> None:
    endpoint = AsyncEndpoint(options(server))
    for name, answer in ANSWERS.items():
        server.answer = answer
        with pytest.raises(EndpointError) as caught:
            await endpoint.stream([{"role": "user", "content": "prompt"}], temperature=0.0, max_tokens=10)
        assert KEY not in str(caught.value), name
    await endpoint.close()


def test_an_endpoint_hears_the_prompt_and_nothing_else(server: Hostile) -> None:
    server.answer = (200, "application/json", b'{"choices": [{"message": {"content": "an answer"}}]}')
    assert Endpoint(options(server), max_tokens=10).complete("prompt", 0.0).text == "an answer"
    (heard,) = server.heard
    assert heard == {
        "model": "any",
        "messages": [{"role": "user", "content": "prompt"}],
        "temperature": 0.0,
        "max_tokens": 10,
    }
