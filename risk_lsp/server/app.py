"""Starts the language server on standard input and output, or on a TCP port, and ends it when its client is gone.

Only the standard library is imported before `initialize` is answered; see `handshake`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from risk_lsp.server.wire.connection import (
    Connection,
    FramingError,
    MessageBuffer,
    Outbox,
    start_reading,
)
from risk_lsp.server.wire.handshake import Handshake, shake_hands

logger = logging.getLogger(__name__)

# Seconds that a thread which parses a long text may keep the interpreter while a message waits. Python's own choice is
# 5 ms, and one hover waits several times.
_SWITCH_INTERVAL = 0.001


@dataclass(frozen=True)
class ServerOptions:
    """Values from the command line; None leaves a setting to the client. They win over the client's settings."""

    bundle: str | None = None
    threads: int | None = None
    device: str | None = None
    dtype: str | None = None
    log_level: str = "warning"
    data_folder: str | None = None  # for what is remembered, by default in the user's data folder

    def settings(self) -> dict[str, Any]:
        """The settings that were given, by the names that editors use."""
        given = {"bundle": self.bundle, "threads": self.threads, "device": self.device, "dtype": self.dtype}
        return {name: value for name, value in given.items() if value is not None}


async def watch_parent(process_id: int | None, closed: asyncio.Event, seconds: float = 10.0) -> None:
    """Look for the client's process every so many seconds, and set `closed` once it is gone.

    A process that is not there at the start is not watched: the client lives in another process namespace.
    """
    if process_id is None or not is_alive(process_id):
        return
    while is_alive(process_id):
        await asyncio.sleep(seconds)
    logger.warning("the client's process %d is gone", process_id)
    closed.set()


def is_alive(process_id: int) -> bool:
    """Whether there is a process with this id."""
    if process_id <= 0:  # to `kill`, these are groups of processes
        return False
    try:
        os.kill(process_id, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def run_stdio(options: ServerOptions, command: Sequence[str] | None = None) -> int:
    """Serve the client on standard input and output until it leaves; returns the exit status.

    Whatever prints to standard output reaches standard error from here on: one stray line would garble the protocol.
    `command` starts the worker; the default is one that loads the bundle of the settings. The exit status is 0 after an
    orderly shutdown and 1 if the client goes away without one.
    """
    _set_up_logging(options.log_level)
    sys.stdout.flush()
    source, sink = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    return _serve(Connection(source, sink), options, command, watch=True)


def run_tcp(host: str, port: int, options: ServerOptions, command: Sequence[str] | None = None) -> int:
    """Serve the first client that connects, like `run_stdio`. The address is announced on standard error."""
    _set_up_logging(options.log_level)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as listener:
            address, own_port = listener.getsockname()[:2]  # port 0 means: any free one
            print(f"listening on {address}:{own_port}", file=sys.stderr, flush=True)
            client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        print(f"cannot listen on {host}:{port}: {error.strerror or error}; choose another port", file=sys.stderr)
        return 2
    stream = client.detach()
    return _serve(Connection(stream, stream), options, command, watch=False)


def _serve(connection: Connection, options: ServerOptions, command: Sequence[str] | None, watch: bool) -> int:
    buffer = MessageBuffer()
    try:
        agreed = shake_hands(connection, buffer)
        if agreed is None:
            return 1
        return asyncio.run(_run_session(connection, buffer, agreed, options, command, watch))
    except (OSError, FramingError) as error:
        logger.error("the connection to the client broke: %s", error)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        let_go_of_the_log()


def let_go_of_the_log() -> None:
    """Drop what cannot be written of the log: the interpreter flushes it at its end, which would change the status."""
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


async def _run_session(
    connection: Connection,
    buffer: MessageBuffer,
    agreed: Handshake,
    options: ServerOptions,
    command: Sequence[str] | None,
    watch: bool,
) -> int:
    sys.setswitchinterval(_SWITCH_INTERVAL)
    from risk_lsp.server.session import Session  # imports the protocol library and numpy

    session = Session(agreed, options.settings(), options.data_folder, command)
    loop = asyncio.get_running_loop()

    def break_off() -> None:
        """End the session, from any thread, unless the loop has closed."""
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(session.closed.set)

    outbox = Outbox(connection, break_off)
    session.messenger.protocol.set_writer(outbox)
    loop.add_signal_handler(signal.SIGTERM, session.closed.set)
    try:
        await session.start()
        start_reading(connection, buffer, loop, session.receive, session.closed.set)
        watcher = loop.create_task(watch_parent(session.client.process_id if watch else None, session.closed))
        await session.closed.wait()
        watcher.cancel()
    finally:
        await session.stop()
        outbox.close()
    return 0 if session.was_shut_down else 1


def _set_up_logging(level: str) -> None:
    """Log to standard error, but nothing from pygls below WARNING: it logs messages, which hold the user's source."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("risk_lsp").setLevel(level.upper())
    logging.getLogger("pygls").setLevel(logging.WARNING)
    # Handlers report their own failures; here pygls would repeat them, or quote messages that it does not know.
    logging.getLogger("pygls.protocol.json_rpc").setLevel(logging.CRITICAL)
