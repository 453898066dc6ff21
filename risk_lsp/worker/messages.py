"""Messages between the server and its worker process, the questions and answers that they carry, and the process.

A message is a JSON header and raw arrays. Its frame is the magic bytes, the header's length, the arrays' total length
(both little endian), the header as UTF-8 JSON, and the arrays' bytes one after the other in C order. Neither side ever
unpickles anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import risk_lsp
from risk_lsp.errors import BadInput, RiskError, WorkerError

Arrays = Mapping[str, NDArray[Any]]

_PREFIX = struct.Struct("<4sIQ")
_MAGIC = b"rkW1"
_LONGEST_HEADER = 1 << 28
_LONGEST_ARRAYS = 1 << 32
_DTYPES = frozenset({"bool", "uint8", "int32", "int64", "float16", "float32", "float64"})

_FIELDS: dict[str, dict[str, type]] = {
    # server to worker
    "load": {"options": dict},
    "score": {"id": int, "text": str, "language_id": str, "at": int},  # at: the character that a person is at
    "ask": {"id": int, "question": str, "parameters": dict},
    "cancel": {"id": int},
    "shutdown": {},
    # worker to server
    "ready": {"description": dict},
    "failed": {"message": str, "hint": str},
    "part": {"id": int, "header": dict},  # of a result that is to follow
    "result": {"id": int, "header": dict},
    "error": {"id": int, "message": str, "hint": str, "refused": bool},  # refused: the text is at fault
}

PREFIX_LENGTH = _PREFIX.size


@dataclass(frozen=True)
class Message:
    """One message; `_FIELDS` has the kinds and their fields, which must be JSON. Strings may hold lone surrogates."""

    kind: str
    fields: dict[str, Any] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)


def pack(message: Message) -> bytes:
    """The frame of a message. Raises WorkerError for an array of a kind that does not travel."""
    blocks = []
    layout = []
    for name, array in message.arrays.items():
        if array.dtype.name not in _DTYPES:
            raise WorkerError(
                f"the array {name} has the dtype {array.dtype}", f"send one of {', '.join(sorted(_DTYPES))}"
            )
        blocks.append(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
        layout.append([name, array.dtype.name, list(array.shape)])
    header = json.dumps({"kind": message.kind, "fields": message.fields, "arrays": layout}).encode()
    body = b"".join(blocks)
    return _PREFIX.pack(_MAGIC, len(header), len(body)) + header + body


def unpack_prefix(prefix: bytes) -> tuple[int, int]:
    """Lengths of the header and of the arrays that follow. Raises WorkerError if `prefix` starts no frame."""
    magic, header_length, arrays_length = _PREFIX.unpack(prefix)
    if magic != _MAGIC or header_length > _LONGEST_HEADER or arrays_length > _LONGEST_ARRAYS:
        raise _garbled_error("something else than a message arrived")
    return header_length, arrays_length


def unpack(header: bytes, body: bytes) -> Message:
    """The message of a frame's two parts. Raises WorkerError if they are not what `pack` writes."""
    try:
        content = json.loads(header)
        kind, fields, layout = content["kind"], content["fields"], content["arrays"]
        for name, kind_of_value in _FIELDS[kind].items():
            if not isinstance(fields[name], kind_of_value):
                raise TypeError(f"{name} of {kind}")
        return Message(kind, fields, dict(_arrays(layout, body)))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _garbled_error(type(error).__name__) from error


def _arrays(layout: list[Any], body: bytes) -> Iterator[tuple[str, NDArray[Any]]]:
    offset = 0
    for name, dtype_name, shape in layout:
        if dtype_name not in _DTYPES or any(not isinstance(size, int) or size < 0 for size in shape):
            raise ValueError("layout of the arrays")
        dtype = np.dtype(dtype_name).newbyteorder("<")
        count = 1
        for size in shape:
            count *= size
        yield name, np.frombuffer(body, dtype, count, offset).reshape(shape)
        offset += count * dtype.itemsize
    if offset != len(body):
        raise ValueError("length of the arrays")


def read_message(stream: IO[bytes]) -> Message | None:
    """The next message of a stream, None at its end. Raises WorkerError for anything else than whole messages."""
    prefix = _read_exactly(stream, PREFIX_LENGTH)
    if not prefix:
        return None
    if len(prefix) < PREFIX_LENGTH:
        raise _garbled_error("the stream ended within a message")
    header_length, arrays_length = unpack_prefix(prefix)
    header = _read_exactly(stream, header_length)
    body = _read_exactly(stream, arrays_length)
    if len(header) < header_length or len(body) < arrays_length:
        raise _garbled_error("the stream ended within a message")
    return unpack(header, body)


def _read_exactly(stream: IO[bytes], length: int) -> bytes:
    """`length` bytes, or fewer at the end of the stream. A raw stream may give less than asked for at a time."""
    blocks = []
    while length > 0 and (block := stream.read(min(length, 1 << 20))):
        blocks.append(block)
        length -= len(block)
    return b"".join(blocks)


def _garbled_error(what: str) -> WorkerError:
    return WorkerError(f"the connection to the worker is garbled: {what}", "the worker is started again")


class ScoredArrays(NamedTuple):
    """What the worker's scorer gave for one text, or an answer to another question."""

    header: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


PartCallback = Callable[[ScoredArrays], None]


@dataclass(frozen=True)
class Request:
    """A question for the worker; the future is cancelled if the caller no longer waits.

    `kind` is the message's, and `fields` gives what it holds besides the id, at the time when the question is asked.
    `length` is how many characters the question has; `on_part` gets what is known before the whole answer.
    """

    id: int
    kind: str
    fields: Callable[[], dict[str, Any]]
    length: int
    on_part: PartCallback
    answer: asyncio.Future[ScoredArrays]

    def fail(self, error: RiskError) -> None:
        """Answer with an error, if somebody still waits."""
        if not self.answer.done():
            self.answer.set_exception(error)


logger = logging.getLogger(__name__)

# Not the user's folder: `python -m` imports from the current directory first, and a workspace must not supply code.
_FOLDER = Path(risk_lsp.__file__).parent.parent
_STREAM_BUFFER = 1 << 20
_LAST_WORDS_SECONDS = 1.0
_LOGGED_LINES = 200
_LOGGED_LINE_LENGTH = 500


class LoadRefused(Exception):
    """The worker cannot be started, or says that it cannot load; trying again would not help."""

    def __init__(self, error: WorkerError) -> None:
        super().__init__(str(error))
        self.error = error


class WorkerProcess:
    """A running child with pipes, leader of its own process group. Make one with `start`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._draining = asyncio.ensure_future(_log_lines(process.stderr))
        self._arrival: asyncio.Future[Message] | None = None

    @classmethod
    async def start(cls, command: Sequence[str]) -> WorkerProcess:
        """Start `command`. Raises LoadRefused if there is no such program."""
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                limit=_STREAM_BUFFER,
                cwd=_FOLDER,
                start_new_session=True,
            )
        except OSError as error:
            raise LoadRefused(WorkerError(f"{command[0]} cannot be started", "check the installation")) from error
        return cls(process)

    async def load(self, options: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Have the worker load; returns what it says it has loaded.

        Raises LoadRefused if it says that it cannot, and WorkerError if it ends, or takes longer than `seconds`.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        await self._send(Message("load", {"options": options}))
        reply = await self._next_message(deadline, f"was not ready after {seconds:.0f} s")
        if reply.kind == "failed":
            raise LoadRefused(WorkerError(reply.fields["message"], reply.fields["hint"]))
        if reply.kind != "ready":
            raise _unasked_error(reply)
        description: dict[str, Any] = reply.fields["description"]
        return description

    async def answer(self, request: Request, seconds: float) -> None:
        """Have one question answered.

        Raises WorkerError if the worker does not survive the question, or takes longer than `seconds`; the asker gets
        that error, too.
        """
        try:
            await self._send(Message(request.kind, {"id": request.id, **request.fields()}))
            message = await self._reply_to(request, seconds)
        except WorkerError as error:
            request.fail(error)
            raise
        except BaseException:
            request.fail(WorkerError("the worker was restarted or stopped meanwhile", "ask again"))
            raise
        if message.kind == "error":
            kind = BadInput if message.fields["refused"] else WorkerError
            request.fail(kind(message.fields["message"], message.fields["hint"]))
        elif not request.answer.done():
            request.answer.set_result(ScoredArrays(message.fields["header"], dict(message.arrays)))

    async def watch(self, until: asyncio.Event) -> None:
        """Wait for the event. Raises WorkerError if the worker ends meanwhile, or sends something."""
        happened, arrival = asyncio.ensure_future(until.wait()), self._next_arrival()
        either: set[asyncio.Future[Any]] = {happened, arrival}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            happened.cancel()
        if arrival.done():
            raise _unasked_error(arrival.result())

    async def _reply_to(self, request: Request, seconds: float) -> Message:
        """The last message that answers the request; parts before it are passed on."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            arrival = self._next_arrival()
            either: set[asyncio.Future[Any]] = {arrival, request.answer}
            await asyncio.wait(either, timeout=deadline - loop.time(), return_when=asyncio.FIRST_COMPLETED)
            if request.answer.cancelled() and not arrival.done():
                # The worker may not have begun. If it has, its reply is awaited all the same, and dropped.
                await self._send(Message("cancel", {"id": request.id}))
            message = await self._next_message(deadline, f"took longer than {seconds:.0f} s over a text")
            if message.kind not in ("part", "result", "error") or message.fields["id"] != request.id:
                raise _unasked_error(message)
            if message.kind != "part":
                return message
            if not request.answer.done():
                request.on_part(ScoredArrays(message.fields["header"], dict(message.arrays)))

    async def _next_message(self, deadline: float, late: str) -> Message:
        arrival = self._next_arrival()
        await asyncio.wait({arrival}, timeout=deadline - asyncio.get_running_loop().time())
        if not arrival.done():
            raise WorkerError(f"the worker {late}", "it is started again")
        self._arrival = None
        return arrival.result()

    def _next_arrival(self) -> asyncio.Future[Message]:
        """The next message, or a WorkerError if the worker ends or sends something else than messages."""
        if self._arrival is None:
            self._arrival = asyncio.ensure_future(self._receive())
        return self._arrival

    async def _receive(self) -> Message:
        try:
            header_length, arrays_length = unpack_prefix(await self._stdout.readexactly(PREFIX_LENGTH))
            return unpack(await self._stdout.readexactly(header_length), await self._stdout.readexactly(arrays_length))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise WorkerError(*await self._last_words()) from error

    async def _send(self, message: Message) -> None:
        try:
            self._stdin.write(pack(message))
            await self._stdin.drain()
        except (OSError, RuntimeError) as error:  # RuntimeError: the transport is closed already
            raise WorkerError(*await self._last_words()) from error

    async def stop(self, grace: float = 1.0) -> None:
        """Ask the worker to end, wait `grace` seconds, and kill whatever is left of its process group."""
        if self._arrival is not None and not self._arrival.cancel() and not self._arrival.cancelled():
            self._arrival.exception()  # nobody is going to look at it
        try:
            with contextlib.suppress(WorkerError, asyncio.TimeoutError):
                await asyncio.wait_for(self._say_goodbye(), grace)
        finally:
            # The group outlives its leader while a grandchild runs.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            # Bounded: a grandchild that left the group may hold the pipes open.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.gather(self._process.wait(), self._draining), _LAST_WORDS_SECONDS)

    async def _say_goodbye(self) -> None:
        if self._process.returncode is None:
            await self._send(Message("shutdown"))
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


def _unasked_error(message: Message) -> WorkerError:
    return WorkerError(f"the worker sent {message.kind} unasked", "it is started again")
