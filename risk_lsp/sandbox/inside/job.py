"""One job of the fork server: the frames it comes in, and the program: started, watched, stopped, its output kept."""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from . import launch
from . import launch as program

_SIZES = struct.Struct("!II")
PREFIX = _SIZES.size


def encode_frame(header: dict[str, Any], body: bytes = b"") -> bytes:
    """One frame; `header` holds JSON values."""
    # ASCII escapes carry even the lone surrogates that a model may write.
    text = json.dumps(header, ensure_ascii=True).encode("ascii")
    return _SIZES.pack(len(text), len(body)) + text + body


def frame_size(data: bytes | bytearray) -> int | None:
    """Size of the frame at the start of `data`, or None while its prefix is incomplete."""
    if len(data) < PREFIX:
        return None
    header, body = _SIZES.unpack_from(data)
    return int(PREFIX + header + body)


def decode_frame(data: bytes | bytearray) -> tuple[dict[str, Any], bytes]:
    """Header and body of one complete frame. ValueError if it is malformed."""
    header_size, body_size = _SIZES.unpack_from(data)
    header = json.loads(bytes(data[PREFIX : PREFIX + header_size]))
    if not isinstance(header, dict):
        raise ValueError("a frame's header is not an object")
    return header, bytes(data[PREFIX + header_size : PREFIX + header_size + body_size])


_TICK_SECONDS = 0.05
_CHUNK = 1 << 16
_CONTROL_LIMIT = 4096
_DRAIN_READS = 32


class Base(NamedTuple):
    """What the idle server takes up: a program's limits come on top."""

    address_space: int
    private_memory: int
    processes: int


class ProgramRun:
    """One run. `isolated` puts it into namespaces of its own; `base` is the idle server's own use."""

    def __init__(self, request: dict[str, Any], *, isolated: bool, base: Base) -> None:
        self._request = request
        self._limits: dict[str, Any] = request["limits"]
        self._isolated = isolated
        self._base = base
        self._control = _Reader(_CONTROL_LIMIT, keep_end=False)
        self._stdout = _Reader(self._limits["output"], keep_end=False)
        self._stderr = _Reader(self._limits["stderr_tail"], keep_end=True)
        self._readers = (self._control, self._stdout, self._stderr)

    def run(self) -> tuple[dict[str, Any], bytes]:
        """Header and body (stdout, then the end of stderr) of the answer. LaunchError if namespaces cannot be made."""
        started = time.monotonic()
        launched = self._start()
        try:
            stopped = self._watch(launched.pid, started + self._limits["wall_seconds"])
        finally:
            status = self._end(launched.pid)
        seconds = time.monotonic() - started
        exit_code, broken = _exit_code(status, launched.report)
        words = dict.fromkeys(self._control.text().splitlines())
        body = bytes(self._stdout.kept), bytes(self._stderr.kept)
        header = {
            "stopped": stopped or self._over_output(),
            "exit_code": exit_code,
            "seconds": seconds,
            "completed": "completed" in words,
            "exception": next((word[7:] for word in words if word.startswith("raised ")), ""),
            "broken": broken,
            "stdout": len(body[0]),
        }
        return header, b"".join(body)

    def _start(self) -> launch.ChildProcess:
        stdin = _stdin_file(self._request["stdin"])
        control, control_end = os.pipe()
        stdout, stdout_end = os.pipe()
        stderr, stderr_end = os.pipe()
        self._control.open(control)
        self._stdout.open(stdout)
        self._stderr.open(stderr)

        def become_program() -> int:
            program.take_streams(stdin, stdout_end, stderr_end, control_end)
            program.limit_resources(self._limits, self._base.address_space, self._base.processes)
            return program.run_program(self._request["program"], _reporter(program.CONTROL))

        try:
            if self._isolated:
                return launch.fork_isolated(self._limits, become_program)
            return launch.fork_in_session(become_program)
        except launch.LaunchError:
            for reader in self._readers:
                reader.close()
            raise
        finally:
            for descriptor in (stdin, control_end, stdout_end, stderr_end):
                os.close(descriptor)

    def _watch(self, pid: int, deadline: float) -> str:
        """Read until the program ends; why it has to be stopped, or "" if it ended by itself."""
        readers = {reader.descriptor: reader for reader in self._readers}
        poll = select.poll()
        for descriptor in readers:
            poll.register(descriptor, select.POLLIN)
        end = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else -1
        if end >= 0:
            poll.register(end, select.POLLIN)
        try:
            next_look = time.monotonic() + _TICK_SECONDS
            while (now := time.monotonic()) < deadline:
                ready = poll.poll(max(0.0, min(deadline, next_look) - now) * 1000)
                for descriptor, _ in ready:
                    if descriptor in readers and readers[descriptor].read() == 0:
                        poll.unregister(descriptor)
                if self._over_output():
                    return "output_limit"
                looking = time.monotonic() >= next_look
                # WNOWAIT leaves the process to be collected later: else its pid could go to another one before it is
                # killed.
                options = os.WEXITED | os.WNOHANG | os.WNOWAIT
                may_have_ended = looking or any(descriptor == end for descriptor, _ in ready)
                if may_have_ended and os.waitid(os.P_PID, pid, options) is not None:
                    return ""
                if looking:
                    next_look = time.monotonic() + _TICK_SECONDS
                    if self._isolated and _private_memory(self._base.private_memory) > self._limits["memory"]:
                        return "memory"
            return "timeout"
        finally:
            if end >= 0:
                os.close(end)

    def _end(self, pid: int) -> int:
        """Kill whatever is left, collect the wait status and the rest of what was written."""
        for kill in (os.kill, os.killpg):
            try:
                kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        _, status = os.waitpid(pid, 0)
        for reader in self._readers:
            reader.drain()
            reader.close()
        return status

    def _over_output(self) -> str:
        return "output_limit" if self._stdout.total + self._stderr.total > self._limits["output"] else ""


class _Reader:
    """Reads a pipe without waiting, keeps at most `limit` bytes of it and counts the rest."""

    def __init__(self, limit: int, *, keep_end: bool) -> None:
        self.kept = bytearray()
        self.total = 0
        self.descriptor = -1
        self._limit = limit
        self._keep_end = keep_end

    def open(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor

    def close(self) -> None:
        os.close(self.descriptor)

    def read(self) -> int:
        """Take what is there, up to one chunk: how much that was, 0 at the end, -1 if nothing is there yet."""
        try:
            data = os.read(self.descriptor, _CHUNK)
        except BlockingIOError:
            return -1
        self.total += len(data)
        self.kept += data
        if self._keep_end:
            del self.kept[: -self._limit]
        else:
            del self.kept[self._limit :]
        return len(data)

    def drain(self) -> None:
        """Take the rest of a pipe whose writers were killed; bounded, should one of them have got away."""
        for _ in range(_DRAIN_READS):
            if self.read() <= 0:
                return

    def text(self) -> str:
        return self.kept.decode(errors="replace")


def _stdin_file(text: str) -> int:
    if not text:
        return os.open(os.devnull, os.O_RDONLY)
    in_memory = hasattr(os, "memfd_create")
    with os.fdopen(os.memfd_create("stdin"), "w+b") if in_memory else tempfile.TemporaryFile() as file:
        file.write(text.encode("utf-8", errors="surrogateescape"))
        file.seek(0)
        return os.dup(file.fileno())


def _reporter(descriptor: int) -> Callable[[str], None]:
    def report(word: str) -> None:
        try:
            os.write(descriptor, word.replace("\n", " ").encode(errors="replace")[:500] + b"\n")
        except OSError:
            # The program may have closed the descriptor; its exit status still tells.
            return

    return report


def _exit_code(status: int, report: int) -> tuple[int, str]:
    """The program's exit code, minus the number of a signal, and what kept its namespaces from being made or ""."""
    said = ""
    if report >= 0:
        with os.fdopen(report, "rb") as stream:
            said = stream.read().decode()
    if said.isdigit():
        return -int(said), ""
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), said


def _private_memory(own: int) -> int:
    """Bytes of anonymous and shared memory of all other processes in here, beyond `own` for each."""
    total = 0
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            total += max(0, private_memory_of(name) - own)
    return total


def private_memory_of(pid: str) -> int:
    """Resident anonymous and shared bytes of one process; 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
            lines = [line.split() for line in status if line.startswith(("RssAnon:", "RssShmem:"))]
    except OSError:
        return 0
    return sum(int(fields[1]) << 10 for fields in lines)
