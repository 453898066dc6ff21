"""Whatever a team's host answers, it is risks of the document or an error, and the local model takes over."""

from __future__ import annotations

import json
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from risk_lsp.errors import RiskError
from risk_lsp.probe.calibration import Calibration
from risk_lsp.team.remote_worker import RemoteWorker
from risk_lsp.worker.messages import Message, pack
from tests.server.lsp_client import LspClient
from tests.team.hosts import PROGRAM
from tests.team.test_editor_server import ANALYSED, URI, initialize, messages, ready_with

KEY = "risk-secret-key"
_SERVE = (sys.executable, "-m", "risk_lsp", "serve")
DESCRIPTION = {"name": "hostile", "probe_hash": "x", "model": "m"}


def part(header: Any = None, **arrays: Any) -> bytes:
    """A frame of the risks of a part, likewise."""
    return frame({"known": [[0, 3]], **(header or {})}, kind="part", **arrays)


def frame(header: Any = None, *, kind: str = "result", **arrays: Any) -> bytes:
    """A frame of risks, with parts that a host would not send."""
    count = 3
    known: dict[str, Any] = {
        "starts": np.arange(count, dtype=np.int32),
        "ends": np.arange(1, count + 1, dtype=np.int32),
        "hazards": np.ones(count, dtype=np.float16),
    }
    said = {"kind": "hazard", "text_length": len(PROGRAM), "calibration": Calibration(0.5).to_json(), "novelty": None}
    named = {name: array for name, array in {**known, **arrays}.items() if array is not None}
    return pack(Message(kind, {"id": 0, "header": said if header is None else {**said, **header}}, named))


FRAMES = {
    "nothing": b"",
    "no frame": b"x" * 1000,
    "half a frame": frame()[:-4],
    "more than a frame": frame() + b"x",
    "a frame of another kind": pack(Message("shutdown")),
    "an enormous length": frame()[:4] + b"\xff" * 12 + frame()[16:],
    "hazards that are NaN": frame(hazards=np.full(3, np.nan, dtype=np.float16)),
    "hazards below zero": frame(hazards=np.full(3, -1, dtype=np.float16)),
    "hazards without end": frame(hazards=np.full(3, np.inf, dtype=np.float16)),
    "too few hazards": frame(hazards=np.ones(2, dtype=np.float16)),
    "hazards in rows": frame(hazards=np.ones((3, 1), dtype=np.float16)),
    "no hazards": frame(hazards=None),
    "tokens outside of the text": frame(ends=np.array([1, 2, 10**6], dtype=np.int32)),
    "tokens before the text": frame(starts=np.array([-5, 1, 2], dtype=np.int32)),
    "tokens out of order": frame(starts=np.array([2, 1, 0], dtype=np.int32)),
    "tokens that are fractions": frame(starts=np.ones(3, dtype=np.float32)),
    "risks of another text": frame({"text_length": 10**9}),
    "a length that is none": frame({"text_length": "long"}),
    "a calibration that is none": frame({"calibration": 5}),
    "a calibration without sense": frame({"calibration": {"theta": "x", "scale": 1, "power": 1}}),
    "a novelty that is none": frame({"novelty": {"a": 1}}),
    "an error in the middle": part() + pack(Message("error", {"id": 0, "message": "no", "hint": "", "refused": True})),
    "a part of another text": part({"text_length": 10**9}) + b"x",
    "a part that is none": part(hazards=None) + frame()[:-4],
    "parts without an end": part() * 50,
    "half a part": part()[:-4],
    "another kind of risks": frame({"kind": "pickle"}),
}
STATUSES = (204, 301, 400, 401, 403, 404, 409, 413, 418, 422, 500, 502, 599)


class HostileHost(ThreadingHTTPServer):
    """Answers every score with the same bytes."""

    daemon_threads = True

    def __init__(self, status: int, body: bytes, model: Any, headers: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.body, self.more = status, body, headers
        self.model = model
        self.asked: list[str] = []
        self.heard = b""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: HostileHost

    def do_GET(self) -> None:
        self._reply(200, json.dumps(self.server.model).encode())

    def do_POST(self) -> None:
        self.server.asked.append(self.path)
        self.server.heard += self.rfile.read(int(self.headers["Content-Length"]))
        self._reply(self.server.status, self.server.body, self.server.more)

    def _reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def hostile_host(
    body: bytes, status: int = 200, model: Any = None, headers: dict[str, str] | None = None
) -> Iterator[HostileHost]:
    """A hostile host at work."""
    described = {"description": DESCRIPTION} if model is None else model
    with HostileHost(status, body, described, headers or {}) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", STATUSES)
async def test_a_status_without_sense_is_an_error_that_names_the_host(status: int) -> None:
    with hostile_host(b'{"message": ["x"]}', status) as host:
        worker = RemoteWorker(host.url, KEY)
        with pytest.raises(RiskError) as refused:
            await worker.score(PROGRAM, "python", 0)
        await worker.close()
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("version", [0, -1, 2**80, True, 1.5, "1", None, {}])
async def test_a_version_without_sense_is_an_error(version: Any) -> None:
    with hostile_host(json.dumps({"message": "", "hint": "", "version": version}).encode(), 409) as host:
        worker = RemoteWorker(host.url, KEY)
        with pytest.raises(RiskError):
            await worker.score(PROGRAM, "python", 0)
        await worker.close()
        assert len(host.asked) <= 3


async def test_an_answer_without_end_is_an_error() -> None:
    beginning = struct.pack("<4sIQ", b"rkW1", 100, 1 << 31)
    with hostile_host(beginning + b"x" * (70 << 20)) as host:
        worker = RemoteWorker(host.url, KEY)
        with pytest.raises(RiskError, match="does not stop"):
            await worker.score(PROGRAM, "python", 0)
        await worker.close()


async def test_a_redirection_is_not_followed_with_the_key() -> None:
    with hostile_host(frame()) as elsewhere, hostile_host(b"", 307, headers={"Location": elsewhere.url}) as host:
        worker = RemoteWorker(host.url, KEY)
        with pytest.raises(RiskError):
            await worker.score(PROGRAM, "python", 0)
        await worker.close()
        assert elsewhere.asked == []


async def test_answers_without_sense_leave_the_editor_s_server_alive_and_show_no_number() -> None:
    client = await LspClient.start(["env", f"RISK_LSP_HOST_KEY={KEY}", *_SERVE])
    try:
        with hostile_host(FRAMES["nothing"]) as host:
            await initialize(client, host.url)
            client.open(URI, PROGRAM)
            for version, (name, body) in enumerate(FRAMES.items(), 2):
                host.body = body
                client.replace(URI, version, f"{PROGRAM}#{'#' * version}"[: len(PROGRAM)])
                hover = await client.hover(URI, line=3)
                said = "" if hover is None else hover["contents"]["value"]
                assert "%" not in said, name
    finally:
        await client.kill()


@pytest.mark.parametrize(
    "model",
    [
        [],
        {"description": 5},
        {"description": {"name": 5, "reference": 5, "places": 5}},
        {"description": {"reference": {"line": [{}]}, "places": {}}},
        {"description": {"reference": {"line": 7}, "places": {"generated": None}}},
    ],
    ids=range(5),
)
async def test_a_description_without_sense_leaves_numbers_to_be_had(model: Any) -> None:
    client = await LspClient.start(["env", f"RISK_LSP_HOST_KEY={KEY}", *_SERVE])
    try:
        with hostile_host(frame(), model=model) as host:
            await initialize(client, host.url)
            client.open(URI, PROGRAM)
            await client.notification(ANALYSED)
    finally:
        await client.kill()


async def test_a_host_hears_no_name_and_no_path() -> None:
    client = await LspClient.start(["env", f"RISK_LSP_HOST_KEY={KEY}", *_SERVE])
    try:
        with hostile_host(frame()) as host:
            await initialize(client, host.url)
            client.open("file:///home/somebody/ventures/takeover.py", PROGRAM)
            await client.notification(ANALYSED)
            assert b"width" in host.heard
            assert [word for word in (b"somebody", b"ventures", b"takeover") if word in host.heard] == []
    finally:
        await client.kill()


async def test_a_host_that_hangs_up_is_left_for_the_local_model() -> None:
    client = await LspClient.start(["env", f"RISK_LSP_HOST_KEY={KEY}", *_SERVE])
    try:
        with hostile_host(b"", headers={"Content-Length": "1000", "Connection": "close"}) as host:
            await initialize(client, host.url)
            client.open(URI, PROGRAM)
            await ready_with(client, "default")
            assert len(messages(client)) == 1
    finally:
        await client.kill()
