"""The byte stream to one client, and the JSON messages in it, one by one."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import select
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
REQUEST_CANCELLED = -32800
REQUEST_FAILED = -32803
SERVER_NOT_INITIALIZED = -32002

HEADER_LIMIT = 16_384  # bytes; more than this without a blank line is not a header
_SEPARATOR = b"\r\n\r\n"
_CHUNK = 1 << 16
_BYTES_AT_MOST = 64 * 2**20  # that wait to be written; a client so far behind is not there any more

logger = logging.getLogger(__name__)


class FramingError(Exception):
    """The stream is not the base protocol; nothing after this point can be understood."""


class MessageBuffer:
    """Collects bytes and cuts them into message bodies."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Add bytes that were read."""
        self._pending += chunk

    def take(self) -> bytes | None:
        """Take out the next body, None if bytes are missing. Raises FramingError for a header without a length."""
        header_end = self._pending.find(_SEPARATOR)
        if header_end < 0:
            if len(self._pending) > HEADER_LIMIT:
                raise FramingError(f"no end of the header within {HEADER_LIMIT} bytes")
            return None
        length = None
        for line in reversed(bytes(self._pending[:header_end]).split(b"\r\n")):
            name, _, value = line.partition(b":")  # in any case of letters; other headers are ignored
            if name.strip().lower() == b"content-length" and value.strip().isdigit():
                length = int(value)
        if length is None:
            raise FramingError("a header without Content-Length")
        start = header_end + len(_SEPARATOR)
        end = start + length
        if len(self._pending) < end:
            return None
        body = bytes(self._pending[start:end])
        del self._pending[:end]
        return body


def frame(message: dict[str, Any]) -> bytes:
    """A message as it goes over the wire."""
    body = json.dumps(message).encode("ascii")
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def parse_message(body: bytes) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The message in a body, and None; or {} and the error response, if the body holds no message."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        return {}, error_response(None, PARSE_ERROR, f"the message is not JSON: {error}")
    if not isinstance(message, dict):
        return {}, error_response(None, INVALID_REQUEST, "a message is a JSON object; batches are not supported")
    return message, None


def error_response(message_id: object, code: int, text: str) -> dict[str, Any]:
    """A JSON-RPC error response."""
    return {"jsonrpc": "2.0", "id": message_id, "error": {"code": code, "message": text}}


class Connection:
    """Blocking reads and writes of two open files, or of one socket. Both raise OSError if the connection breaks."""

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._poll = select.poll()
        self._poll.register(sink, select.POLLOUT)

    def read(self) -> bytes:
        """What has arrived; b"" at the end of the stream."""
        return os.read(self._source, _CHUNK)

    def write(self, data: bytes) -> None:
        """Write all of it."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._sink, view) :]

    def takes_some(self) -> bool:
        """Whether `write` would take `select.PIPE_BUF` bytes without blocking."""
        return bool(self._poll.poll(0))


def start_reading(
    connection: Connection,
    buffer: MessageBuffer,
    loop: asyncio.AbstractEventLoop,
    receive: Callable[[list[bytes]], None],
    ended: Callable[[], None],
) -> None:
    """Call `receive` in the loop with the message bodies that arrive, those that are in the buffer already first.

    `ended` is called at the end of the stream, and where it turns out not to be the base protocol. Bodies that arrived
    while the loop was busy come together, so that a request is seen along with what takes it back. The thread that
    reads is a daemon, so that a client that neither writes nor goes away cannot keep the process from exiting.
    """
    arrived: SimpleQueue[bytes] = SimpleQueue()

    def hand_over() -> None:
        is_end = False
        while not arrived.empty():
            chunk = arrived.get()
            buffer.feed(chunk)
            is_end = is_end or not chunk
        bodies: list[bytes] = []
        try:
            while (body := buffer.take()) is not None:
                bodies.append(body)
        except FramingError as error:
            logger.error("the client does not speak the protocol: %s", error)
            is_end = True
        receive(bodies)  # also those before the error
        if is_end:
            ended()

    def read_all() -> None:
        chunk = b"to be read"
        while chunk:
            try:
                chunk = connection.read()
            except OSError:
                chunk = b""
            arrived.put(chunk)
            try:
                loop.call_soon_threadsafe(hand_over)
            except RuntimeError:  # the loop has closed: the process is about to exit
                return

    hand_over()
    threading.Thread(target=read_all, name="client-reader", daemon=True).start()


class Outbox:
    """The writer that pygls sends with. It never blocks: a thread writes what the client does not take at once.

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
        """Send bytes, after those before. Nothing happens if the connection is broken."""
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
        """Wait until everything is written, at most so many seconds."""
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
