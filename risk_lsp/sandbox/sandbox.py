"""The one sandbox for every run of untrusted code.

Programs run under bubblewrap: no network, the system read-only, no home folder, a private /tmp, namespaces of their own
for users, processes, mounts and IPC, limits on memory, CPU, processes, files and output, a wall clock, and the death of
the whole group at the end. A fork server inside the sandbox makes a run cost milliseconds; every program still gets
process, mount and IPC namespaces and a /tmp of its own, so it meets neither the server nor what an earlier one left.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any, NamedTuple

from risk_lsp.sandbox import isolation as command
from risk_lsp.sandbox.inside.job import decode_frame, encode_frame, frame_size
from risk_lsp.sandbox.isolation import NO_MORE, PRELOADED, Limits, Outcome, SandboxError, Status, View

_START_SECONDS = 30.0
# How much longer than the program's wall clock the server may take before it is given up.
_GRACE_SECONDS = 5.0
_FRAME_SLACK = 1 << 16
_server_numbers = itertools.count()


class SandboxProcess:
    """A running server. Raises SandboxError if it does not start. Used by one caller at a time."""

    def __init__(self, preload: Sequence[str], *, weak: bool, view: command.View = command.NO_MORE) -> None:
        self._folder = tempfile.mkdtemp(prefix="risk-lsp-") if weak else None
        self._buffer = bytearray()
        self._limits = Limits()
        # When the running job is given up, on the clock of time.monotonic().
        self.deadline = time.monotonic() + _START_SECONDS
        self._started = time.monotonic()
        self._process = self._start(preload, view)
        try:
            self.isolated = bool(self._greeting().get("isolated"))
        except BaseException:
            self.stop()
            raise

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def fileno(self) -> int:
        """The descriptor that becomes readable when there is something to `receive`."""
        return self._output

    def send(self, program: str, stdin: str, limits: Limits) -> None:
        """Start one job; its outcome comes through `receive`."""
        self._limits = limits
        self._started = time.monotonic()
        self.deadline = self._started + limits.wall_seconds + _GRACE_SECONDS
        frame = encode_frame({"program": program, "stdin": stdin, "limits": asdict(limits)})
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(frame)
            self._process.stdin.flush()
        except BrokenPipeError:
            # The server has died; `receive` says so.
            return

    def receive(self) -> Outcome | None:
        """Read what has come: the outcome once it is whole, or once the server has died or is overdue; None before."""
        if time.monotonic() >= self.deadline:
            return self._lost_outcome("timeout")
        try:
            frame = self._read_frame()
        except (EOFError, ValueError):
            return self._lost_outcome("killed")
        return None if frame is None else _outcome(*frame, self._limits)

    def stop(self) -> None:
        """Kill the server with everything in it. Harmless when repeated."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None and not stream.closed:
                with contextlib.suppress(BrokenPipeError):  # closing flushes what a dead server never read
                    stream.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def kill(self) -> None:
        """End everything in it at once, from any thread; whoever waits for its answer gets the outcome `killed`."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _start(self, preload: Sequence[str], view: command.View) -> subprocess.Popen[bytes]:
        # Each server of root's has a user of its own, or one program's processes would count against another's limit.
        user = command.NOBODY + (os.getpid() * 16 + next(_server_numbers)) % 1_000_000
        options: dict[str, Any] = {}
        if self._folder is None:
            arguments, variables = command.isolated_command(user, preload, view), command.environment()
        else:
            arguments = command.server_command(preload)
            variables = command.environment(home=self._folder, package_folder=command.package_folder())
            options["cwd"] = self._folder
            if os.geteuid() == 0:
                os.chown(self._folder, user, user)
                options.update(user=user, group=user, extra_groups=[])
        try:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=variables,
                start_new_session=True,
                **options,
            )
        except OSError as error:
            raise SandboxError(f"the sandbox's interpreter does not start: {error}", _UNREADABLE_HINT) from error
        assert process.stdout is not None
        self._output = process.stdout.fileno()
        os.set_blocking(self._output, False)
        return process

    def _greeting(self) -> dict[str, Any]:
        try:
            while (frame := self._read_frame()) is None:
                remaining = self.deadline - time.monotonic()
                if remaining <= 0 or not select.select([self._output], [], [], remaining)[0]:
                    raise SandboxError(f"the sandbox did not start in {_START_SECONDS:.0f} s", "is the machine busy?")
        except (EOFError, ValueError):
            self._process.kill()
            assert self._process.stderr is not None
            said = self._process.stderr.read(2000).decode(errors="replace").strip() or "it says nothing"
            raise SandboxError(f"the sandbox does not start: {said.splitlines()[-1]}", _NAMESPACE_HINT) from None
        return frame[0]

    def _read_frame(self) -> tuple[dict[str, Any], bytes] | None:
        """The next frame, None while it is not whole. EOFError at the end, ValueError if it makes no sense."""
        try:
            data = os.read(self._output, 1 << 20)
        except BlockingIOError:
            return None
        if not data:
            raise EOFError
        self._buffer += data
        size = frame_size(self._buffer)
        if size is not None and size > self._limits.output + self._limits.stderr_tail + _FRAME_SLACK:
            raise ValueError(f"a frame of {size} bytes")
        if size is None or len(self._buffer) < size:
            return None
        frame = decode_frame(self._buffer)
        del self._buffer[:size]
        return frame

    def _lost_outcome(self, status: Status) -> Outcome:
        self.stop()
        return Outcome(status, -signal.SIGKILL, "", "", time.monotonic() - self._started, False, "")


_UNREADABLE_HINT = "an unprivileged user must be able to run this Python; do not keep it in /root"
_NAMESPACE_HINT = "bubblewrap must be allowed to make namespaces; see `bwrap --unshare-all --ro-bind / / true`"


def _outcome(header: dict[str, Any], body: bytes, limits: Limits) -> Outcome:
    if header["broken"]:
        raise SandboxError(f"a private file system could not be made: {header['broken']}", _NAMESPACE_HINT)
    exit_code, exception = int(header["exit_code"]), str(header["exception"])
    split = int(header["stdout"])
    return Outcome(
        status=_status(str(header["stopped"]), exit_code, exception),
        exit_code=exit_code,
        stdout=body[:split].decode(errors="replace"),
        stderr=body[split:].decode(errors="replace")[-limits.stderr_tail :],
        seconds=float(header["seconds"]),
        completed=bool(header["completed"]),
        exception=exception,
    )


def _status(stopped: str, exit_code: int, exception: str) -> Status:
    if stopped == "timeout" or exit_code == -signal.SIGXCPU:
        return "timeout"
    if stopped == "output_limit":
        return "output_limit"
    # Names such as numpy's _ArrayMemoryError too.
    if stopped == "memory" or exception.endswith("MemoryError"):
        return "memory"
    if exit_code < 0:
        return "killed"
    return "passed" if exit_code == 0 else "failed"


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
        server = None
        while server is None and self._idle:
            idle = self._idle.pop()
            if idle.alive:
                server = idle
            else:
                idle.stop()
        server = server or SandboxProcess(self._preload, weak=self._weak, view=self._view)
        self._busy.add(server)
        # Looked at behind the line above: whichever thread comes second sees what the other one did.
        if self._killed:
            self._busy.discard(server)
            server.stop()
            raise SandboxError("the sandbox was stopped", "start another one")
        return server

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
