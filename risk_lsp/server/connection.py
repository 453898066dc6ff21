"""The two ends of a byte stream to one client, over stdio or TCP."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Connection:
    """Blocking reads and writes; `read` returns b"" at the end of the stream, both raise OSError when it breaks.

    `takes_some` says whether `write` would take `select.PIPE_BUF` bytes without blocking.
    """

    read: Callable[[], bytes]
    write: Callable[[bytes], None]
    takes_some: Callable[[], bool]


def stdio_connection() -> Connection:
    """Take over standard input and output for the protocol.

    From here on, whatever prints to standard output reaches standard error: one stray line would garble the protocol.
    """
    sys.stdout.flush()
    source, sink = os.dup(0), os.dup(1)
    os.dup2(2, 1)

    def write(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(sink, view) :]

    return Connection(lambda: os.read(source, _CHUNK), write, _readiness(sink))


def accept_one(host: str, port: int, announce: Callable[[str, int], None]) -> Connection:
    """Wait for one client; `announce` gets the address in use (port 0 means: any free one)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listener:
        announce(*listener.getsockname()[:2])
        client, _ = listener.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Connection(lambda: client.recv(_CHUNK), client.sendall, _readiness(client.fileno()))


def _readiness(sink: int) -> Callable[[], bool]:
    poll = select.poll()
    poll.register(sink, select.POLLOUT)
    return lambda: bool(poll.poll(0))


def start_reading(connection: Connection, loop: asyncio.AbstractEventLoop, receive: Callable[[bytes], None]) -> None:
    """Call `receive` in the loop with what arrives, and with b"" once at the end.

    What arrived while the loop was busy comes together, so that a request is seen along with what takes it back.
    A daemon thread reads, so that a client that neither writes nor goes away cannot keep the process from exiting.
    """
    arrived: SimpleQueue[bytes] = SimpleQueue()

    def hand_over() -> None:
        chunks = []
        while not arrived.empty():
            chunks.append(arrived.get())
        if data := b"".join(chunks):
            receive(data)
        if b"" in chunks:
            receive(b"")

    def deliver(chunk: bytes) -> bool:
        arrived.put(chunk)
        try:
            loop.call_soon_threadsafe(hand_over)
        except RuntimeError:  # the loop has closed: the process is about to exit
            return False
        return bool(chunk)

    def read_all() -> None:
        while True:
            try:
                chunk = connection.read()
            except OSError:
                chunk = b""
            if not deliver(chunk):
                return

    threading.Thread(target=read_all, name="client-reader", daemon=True).start()
