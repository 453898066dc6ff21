"""Messages on their way to the client, which may be slow to read them, or never do."""

from __future__ import annotations

import logging
import select
import threading
from collections.abc import Callable
from queue import SimpleQueue

from risk_lsp.server.connection import Connection

_BYTES_AT_MOST = 64 * 2**20  # that wait; a client so far behind is not there any more

logger = logging.getLogger(__name__)


class Outbox:
    """pygls's writer. It never blocks: what the client does not take at once is written by a thread of its own.

    `on_broken` is called, on any thread, when the client is gone or has stopped reading.
    """

    def __init__(self, connection: Connection, on_broken: Callable[[], None]) -> None:
        self._connection = connection
        self._on_broken = on_broken
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0  # bytes that the thread has not written yet
        self._is_broken = False
        self._thread = threading.Thread(target=self._write_all, name="client-writer", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """Send a message, after those before it. A broken connection is not an error here."""
        if self._is_broken:
            return
        if self._waiting == 0 and len(data) <= select.PIPE_BUF and self._connection.takes_some():
            self._write(data)
            return
        with self._lock:
            self._waiting += len(data)
        if self._waiting > _BYTES_AT_MOST:
            logger.error("the client does not read what it is sent")
            self._break()
        self._queue.put(data)

    def close(self, seconds: float = 1.0) -> None:
        """Wait until everything is written, but not for long."""
        self._queue.put(None)
        self._thread.join(seconds)

    def _write_all(self) -> None:
        while (data := self._queue.get()) is not None:
            if not self._is_broken:
                self._write(data)
            with self._lock:
                self._waiting -= len(data)

    def _write(self, data: bytes) -> None:
        try:
            self._connection.write(data)
        except OSError:
            self._break()

    def _break(self) -> None:
        self._is_broken = True
        self._on_broken()
