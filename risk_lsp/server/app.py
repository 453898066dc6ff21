"""Starts the language server on standard input and output, or on a TCP port, and ends it when its client is gone.

Only the standard library is imported before `initialize` is answered; see `handshake`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence

from risk_lsp.server.configuration import ServerOptions
from risk_lsp.server.wire.connection import (
    Connection,
    FramingError,
    MessageBuffer,
    Outbox,
    accept_one,
    start_reading,
    stdio_connection,
)
from risk_lsp.server.wire.handshake import Handshake, shake_hands

logger = logging.getLogger(__name__)


async def watch_parent(process_id: int | None, closed: asyncio.Event, seconds: float = 10.0) -> None:
    """Set `closed` once the client's process is gone, looking every so many seconds.

    A process that is not there at the start is not watched: the client then lives in another process namespace.
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


# Seconds that a thread which parses a long text may keep the interpreter while a message waits. Python's own choice is
# 5 ms, and one hover waits several times.
_SWITCH_INTERVAL = 0.001


def run_stdio(options: ServerOptions, command: Sequence[str] | None = None) -> int:
    """Serve the client on standard input and output until it leaves; returns the exit status.

    `command` starts the worker, by default the one that loads `options.bundle`. The status is 0 after an orderly
    shutdown and 1 if the client went away without one.
    """
    _set_up_logging(options.log_level)
    return _serve(stdio_connection(), options, command, watch=True)


def run_tcp(host: str, port: int, options: ServerOptions, command: Sequence[str] | None = None) -> int:
    """Serve the first client that connects, like `run_stdio`. The address is announced on standard error."""
    _set_up_logging(options.log_level)
    try:
        connection = accept_one(host, port, _announce)
    except OSError as error:
        print(f"cannot listen on {host}:{port}: {error.strerror or error}; choose another port", file=sys.stderr)
        return 2
    return _serve(connection, options, command, watch=False)


def _announce(host: str, port: int) -> None:
    print(f"listening on {host}:{port}", file=sys.stderr, flush=True)


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
    """What cannot be written of it must not become the exit status: the interpreter flushes it once more at its end."""
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

    session = Session(agreed, options, command)
    loop = asyncio.get_running_loop()
    outbox = Outbox(connection, lambda: _in_loop(loop, session.closed.set))
    session.messenger.protocol.set_writer(outbox)

    def receive(chunk: bytes) -> None:
        if not chunk:
            session.closed.set()
            return
        buffer.feed(chunk)
        handle_buffered()

    def handle_buffered() -> None:
        bodies: list[bytes] = []
        try:
            while (body := buffer.take()) is not None:
                bodies.append(body)
        except FramingError as error:
            logger.error("the client does not speak the protocol: %s", error)
            session.closed.set()
        session.receive(bodies)  # what came before the error, too

    loop.add_signal_handler(signal.SIGTERM, session.closed.set)
    try:
        await session.start()
        handle_buffered()  # what came along with `initialize`
        start_reading(connection, loop, receive)
        watcher = loop.create_task(watch_parent(session.client.process_id if watch else None, session.closed))
        await session.closed.wait()
        watcher.cancel()
    finally:
        await session.stop()
        outbox.close()
    return 0 if session.was_shut_down else 1


def _in_loop(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    """Call something in the loop, from any thread, unless the loop has closed."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)


def _set_up_logging(level: str) -> None:
    """Log to standard error. pygls logs the text of messages below WARNING, and that text is the user's source."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("risk_lsp").setLevel(level.upper())
    logging.getLogger("pygls").setLevel(logging.WARNING)
    # Handlers report their own failures; here pygls would repeat them, or quote messages that it does not know.
    logging.getLogger("pygls.protocol.json_rpc").setLevel(logging.CRITICAL)
