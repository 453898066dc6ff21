"""One worker process as the server sees it: start it, exchange messages, and make sure that it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import risk_lsp
from risk_lsp.errors import WorkerError
from risk_lsp.worker.messages import PREFIX_LENGTH, Message, pack, unpack, unpack_prefix

logger = logging.getLogger(__name__)

# Not the user's folder: `python -m` imports from the current directory first, and a workspace must not supply code.
_FOLDER = Path(risk_lsp.__file__).parent.parent
_STREAM_BUFFER = 1 << 20
_LAST_WORDS_SECONDS = 1.0
_LOGGED_LINES = 200
_LOGGED_LINE_LENGTH = 500


class WorkerProcess:
    """A running child with pipes, leader of its own process group. Make one with `start`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._draining = asyncio.ensure_future(_log_lines(process.stderr))

    @classmethod
    async def start(cls, command: Sequence[str]) -> WorkerProcess:
        """Start `command`. Raises OSError if there is no such program."""
        return cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=_STREAM_BUFFER,
                cwd=_FOLDER,
                start_new_session=True,
            )
        )

    @property
    def pid(self) -> int:
        """Process id, and the id of the process group."""
        return self._process.pid

    async def send(self, message: Message) -> None:
        """Send a message. Raises WorkerError if the worker is gone."""
        try:
            self._stdin.write(pack(message))
            await self._stdin.drain()
        except (OSError, RuntimeError) as error:  # RuntimeError: the transport is closed already
            raise WorkerError(*await self._last_words()) from error

    async def receive(self) -> Message:
        """The next message. Raises WorkerError if the worker ends or sends something else."""
        try:
            header_length, arrays_length = unpack_prefix(await self._stdout.readexactly(PREFIX_LENGTH))
            return unpack(await self._stdout.readexactly(header_length), await self._stdout.readexactly(arrays_length))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise WorkerError(*await self._last_words()) from error

    async def stop(self, grace: float = 1.0) -> None:
        """Ask the worker to end, wait `grace` seconds, and kill whatever is left of its process group."""
        try:
            with contextlib.suppress(WorkerError, asyncio.TimeoutError):
                await asyncio.wait_for(self._say_goodbye(), grace)
        finally:
            # The group outlives its leader while a grandchild runs.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            # Bounded: a grandchild that left the group may hold the pipes open.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.gather(self._process.wait(), self._draining), _LAST_WORDS_SECONDS)

    async def _say_goodbye(self) -> None:
        if self._process.returncode is None:
            await self.send(Message("shutdown"))
            self._stdin.close()
        await self._process.wait()

    async def _last_words(self) -> tuple[str, str]:
        """Message and hint for a worker that is gone or about to be."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._process.wait(), _LAST_WORDS_SECONDS)
        code = self._process.returncode
        if code == -signal.SIGKILL:
            return "the worker was killed", "the machine may have run out of memory; it is started again"
        how = "closed its pipes" if code is None else f"ended with {'signal' if code < 0 else 'status'} {abs(code)}"
        return f"the worker {how}", "it is started again; the log may say more"


async def _log_lines(stream: asyncio.StreamReader) -> None:
    """Log what a worker prints, up to a bound, and read the rest away so that the pipe never fills up."""
    count = 0
    rest = b""
    while block := await stream.read(1 << 16):
        if count >= _LOGGED_LINES:
            continue
        *lines, rest = (rest + block).split(b"\n")
        for line in lines[: _LOGGED_LINES - count]:
            logger.info("worker: %s", line[:_LOGGED_LINE_LENGTH].decode("utf-8", "replace").rstrip())
        count += len(lines)
        rest = rest[:_LOGGED_LINE_LENGTH]
        if count >= _LOGGED_LINES:
            logger.info("worker: (further output is dropped)")
    if rest and count < _LOGGED_LINES:
        logger.info("worker: %s", rest.decode("utf-8", "replace").rstrip())
