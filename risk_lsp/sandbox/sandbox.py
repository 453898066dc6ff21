"""The one sandbox for every run of untrusted code.

Programs run under bubblewrap: no network, the system read-only, no home folder, a private /tmp, namespaces of their own
for users, processes, mounts and IPC, limits on memory, CPU, processes, files and output, a wall clock, and the death of
the whole group at the end. A fork server inside the sandbox makes a run cost milliseconds; every program still gets
process, mount and IPC namespaces and a /tmp of its own, so it meets neither the server nor what an earlier one left.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import NamedTuple

from risk_lsp.sandbox.fork_server import SandboxProcess
from risk_lsp.sandbox.isolation import NO_MORE, PRELOADED, Limits, Outcome, SandboxError, View


class Job(NamedTuple):
    """A program to run, with what it reads from stdin."""

    program: str
    stdin: str = ""


class Sandbox:
    """Runs Python programs within `limits`. A context manager, for one thread: servers end with the thread.

    With `weak` bubblewrap is not used: a program is held by resource limits and, for root, by an unprivileged user
    alone, so it can read files, reach the network, and leave processes behind. Only for code that is trusted.

    With `view` programs see more folders, or are run by another interpreter. `preload` names modules that programs find
    imported; add "numpy" where most of them use it. Servers start with the first runs and are kept. SandboxError where
    the sandbox cannot be had.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        preload: Sequence[str] = PRELOADED,
        weak: bool = False,
        view: View = NO_MORE,
    ) -> None:
        self.limits = limits or Limits()
        self._preload = tuple(preload)
        self._weak = weak
        self._view = view
        self._idle: list[SandboxProcess] = []
        self._killed = False
        self._busy: set[SandboxProcess] = set()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the servers; the sandbox can be used again and starts new ones."""
        while self._idle:
            self._idle.pop().stop()

    def kill(self) -> None:
        """End what runs, and start nothing any more. The only method that another thread may call."""
        self._killed = True
        for server in tuple(self._busy):
            server.kill()

    def run(self, program: str, stdin: str = "") -> Outcome:
        """Run one program to its end."""
        ((_, outcome),) = self.run_many([Job(program, stdin)], workers=1)
        return outcome

    def run_many(self, jobs: Iterable[Job], workers: int = 2) -> Iterator[tuple[int, Outcome]]:
        """Run jobs on `workers` servers at a time; (index of the job, outcome) in the order in which they end.

        Jobs are taken from the iterable as servers become free, so it may be endless. Leaving the iterator early
        kills what still runs.
        """
        if workers < 1:
            raise ValueError(f"{workers} workers cannot run anything")
        waiting = enumerate(jobs)
        busy: dict[SandboxProcess, int] = {}
        with selectors.DefaultSelector() as selector:
            try:
                while True:
                    while len(busy) < workers and (item := next(waiting, None)) is not None:
                        server = self._take()
                        busy[server] = item[0]
                        selector.register(server, selectors.EVENT_READ)
                        server.send(item[1].program, item[1].stdin, self.limits)
                    if not busy:
                        return
                    for server in _ready(selector, busy):
                        outcome = server.receive()
                        if outcome is not None:
                            selector.unregister(server)
                            index = busy.pop(server)
                            self._give_back(server)
                            yield index, outcome
            finally:
                for server in busy:
                    self._busy.discard(server)
                    server.stop()

    def _take(self) -> SandboxProcess:
        server = self._idle_one() or SandboxProcess(self._preload, weak=self._weak, view=self._view)
        self._busy.add(server)
        # Looked at behind the line above: whichever thread comes second sees what the other one did.
        if self._killed:
            self._busy.discard(server)
            server.stop()
            raise SandboxError("the sandbox was stopped", "start another one")
        return server

    def _idle_one(self) -> SandboxProcess | None:
        while self._idle:
            server = self._idle.pop()
            if server.alive:
                return server
            server.stop()
        return None

    def _give_back(self, server: SandboxProcess) -> None:
        self._busy.discard(server)
        # Where programs are not isolated from their server, each one gets a server of its own.
        if server.alive and server.isolated:
            self._idle.append(server)
        else:
            server.stop()


def _ready(selector: selectors.BaseSelector, busy: Iterable[SandboxProcess]) -> list[SandboxProcess]:
    """Wait for servers that answered, died, or are overdue."""
    servers = list(busy)
    remaining = min(server.deadline for server in servers) - time.monotonic()
    answered = {key.fd for key, _ in selector.select(max(0.0, remaining))}
    now = time.monotonic()
    return [server for server in servers if server.fileno() in answered or now >= server.deadline]
