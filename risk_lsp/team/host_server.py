"""Runs the application of a team's host on a port: TLS, deadlines, and an end that answers what was asked."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from risk_lsp.errors import BadInput, WorkerError
from risk_lsp.settings import is_this_machine
from risk_lsp.team.admission import KeyRing, PersonLimits
from risk_lsp.team.team_app import TeamHost
from risk_lsp.team.team_worker import TEAM_WORKER_COMMAND
from risk_lsp.worker.supervisor import Supervisor, WorkerState

_IDLE_SECONDS = 75  # that a connection may be kept between two requests
_LINGER_SECONDS = 2.0
_DRAIN_SECONDS = 30  # that requests which are under way have at the end
_MOST_CONNECTIONS = 2000
_BACKLOG = 512
_LONGEST_HEAD = 1 << 14


@dataclass(frozen=True)
class HostOptions:
    """Where a host listens, what it loads, and who may ask.

    `worker`: options of the worker's `load`. `batch_tokens`: as for TeamHost. `request_seconds`: that the head of a
    request may take to arrive, and its body once more.
    """

    host: str
    port: int
    keys: Path
    worker: dict[str, Any]
    limits: PersonLimits = field(default_factory=PersonLimits)
    certificate: Path | None = None
    private_key: Path | None = None
    without_tls: bool = False
    request_seconds: int = 20
    batch_tokens: int | None = None


class _PunctualProtocol(H11Protocol):
    """HTTP/1.1 for clients that finish what they begin: uvicorn itself waits for the head of a request for ever."""

    head_seconds: float
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A new connection, whose first request is due."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """More of a request; the next head is due once one has begun."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._expect_head()
        else:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """The end of an answer. What is left of a body that was refused is read for a moment: a connection that is
        closed at once would take the answer along."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self.loop.call_later(_LINGER_SECONDS, self._close_if_unfinished)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _close_if_unfinished(self) -> None:
        if self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE:
            self.transport.close()

    def _expect_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.transport.close()


def run_team_host(options: HostOptions) -> int:
    """Serve until a signal ends it; returns the exit status. The address is announced on standard error.

    On SIGTERM no new connection is taken, and what was asked is answered first. Raises BadInput for an address without
    TLS that others can reach, and for files that cannot be used; WorkerError if the bundle cannot be loaded.
    """
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # its warnings repeat what clients sent
    _check_encryption(options)
    listener = _listener(options.host, options.port)
    keys = KeyRing(options.keys)
    supervisor = Supervisor(options.worker, command=TEAM_WORKER_COMMAND)
    application = TeamHost(
        supervisor,
        keys,
        options.limits,
        writes=bool(options.worker.get("writes", False)),
        request_seconds=options.request_seconds,
        batch_tokens=options.batch_tokens,
    ).application()
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            http=type("_Protocol", (_PunctualProtocol,), {"head_seconds": options.request_seconds}),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
            h11_max_incomplete_event_size=_LONGEST_HEAD,
            ssl_certfile=options.certificate,
            ssl_keyfile=options.private_key,
        )
    )
    refusals: list[WorkerError] = []

    def follow(state: WorkerState, failure: WorkerError | None) -> None:
        if state is WorkerState.FAILED and failure is not None:
            refusals.append(failure)
            server.should_exit = True

    supervisor.on_change(follow)
    host, port = listener.getsockname()[:2]
    scheme = "https" if options.certificate else "http"
    print(f"listening on {scheme}://{f'[{host}]' if ':' in host else host}:{port}", file=sys.stderr, flush=True)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # uvicorn has handled it, and raises it once more at its end
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    if refusals:
        raise refusals[0]
    return 0


def _check_encryption(options: HostOptions) -> None:
    """Raises BadInput where texts and keys would cross a network in clear, or the certificate cannot be used."""
    if (options.certificate is None) != (options.private_key is None):
        raise BadInput("TLS needs a certificate and its key", "give both --tls-cert and --tls-key")
    if options.certificate is not None and options.private_key is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(options.certificate, options.private_key)
        except (OSError, ssl.SSLError) as error:
            raise BadInput(
                f"the certificate {options.certificate} and the key {options.private_key} cannot be used",
                "name PEM files that belong together",
            ) from error
    elif not is_this_machine(options.host) and not options.without_tls:
        raise BadInput(
            f"others can reach {options.host}, and without TLS they can read texts and keys",
            "give --tls-cert and --tls-key, listen on 127.0.0.1, or say --without-tls if a proxy before it has TLS",
        )


def _listener(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        raise BadInput(f"cannot listen on {host}:{port}: {error.strerror or error}", "choose another port") from error
    return listener
