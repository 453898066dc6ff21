"""A local stand-in for the model hub: the one route by which files are fetched, with ranges, and ways to go wrong."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from risk_lsp.model.registry import CatalogueModel


class Hub(ThreadingHTTPServer):
    """Serves `files` by path. Remembers the ranges it was asked for; None for a request of a whole file.

    breaks_after: bytes of an answer after which the connection breaks, one number an answer, until there are no more.
    ignores_ranges: every answer is the whole file. status: what every request is answered with instead of a file.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.ranges: list[str | None] = []
        self.breaks_after: list[int] = []
        self.ignores_ranges = False
        self.status = 200
        self.headers_seen: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def offer(self, content: bytes, name: str = "small", served: bytes | None = None) -> CatalogueModel:
        """A model of a catalogue whose file is `content`; the hub has `served` in its place if that is given."""
        model = CatalogueModel(
            name=name,
            title=name.title(),
            repository="somebody/models",
            revision="0123456789abcdef0123456789abcdef01234567",
            file=f"{name}.gguf",
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            parameters=1000,
            licence="Apache-2.0",
        )
        path = f"/{model.repository}/resolve/{model.revision}/{model.file}"
        self.files[path] = content if served is None else served
        return model


@contextmanager
def hub() -> Iterator[Hub]:
    """A hub at work."""
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.ranges.append(asked)
        self.server.headers_seen.append(dict(self.headers.items()))
        content = self.server.files.get(self.path)
        if content is None or self.server.status != 200:
            self.send_error(404 if content is None else self.server.status)
            return
        start = 0
        if asked is not None and not self.server.ignores_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])  # type: ignore[index]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        length = self.server.breaks_after.pop(0) if self.server.breaks_after else len(content)
        self.wfile.write(content[start : start + length])

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
