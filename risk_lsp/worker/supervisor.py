"""One worker process at a time: started, asked one question after the other, and replaced when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import itertools
import logging
import math
import os
import signal
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

import risk_lsp
from risk_lsp.errors import BadInput, RiskError, WorkerError
from risk_lsp.worker.messages import PREFIX_LENGTH, Message, pack, unpack, unpack_prefix

logger = logging.getLogger(__name__)

# Not the user's folder: `python -m` imports from the current directory first, and a workspace must not supply code.
_FOLDER = Path(risk_lsp.__file__).parent.parent
_STREAM_BUFFER = 1 << 20
_LAST_WORDS_SECONDS = 1.0
_LOGGED_LINES = 200
_LOGGED_LINE_LENGTH = 500


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


class WorkerState(enum.Enum):
    """Where the worker is. `FAILED` means that it refused to load and waits for `restart`."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    FAILED = "failed"
    RESTARTING = "restarting"
    STOPPED = "stopped"


_SECONDS_TO_END = 3.0  # longer than a worker is given to end by itself

StateCallback = Callable[[WorkerState, "WorkerError | None"], None]


@dataclass(frozen=True)
class Timings:
    """How long things may take, in seconds.

    A worker is killed that is not ready after `load`, or takes longer over a text than `request` and
    `request_per_character`. The pause before a restart doubles from `backoff` to `longest_backoff`; `healthy` seconds
    of service reset it.
    """

    load: float = 900.0
    request: float = 60.0
    request_per_character: float = 0.002
    backoff: float = 0.2
    longest_backoff: float = 30.0
    healthy: float = 60.0


class LoadInterrupted(WorkerError):
    """The worker ended while it loaded: no question is to blame, and the next worker may come to be ready."""


class Supervisor:
    """Starts the worker, restarts it when it dies, and never lets a request wait for ever.

    `command` starts the worker; `options` go to its `load` and must be JSON, paths in them absolute. `state` is where
    the worker is now; `failure` why it failed or is restarting, None while it is well; `description` what it said it
    had loaded, the last time it was ready. Use from one event loop.
    """

    def __init__(self, options: dict[str, Any], *, command: Sequence[str], timings: Timings | None = None) -> None:
        self._options = options
        self._command = command
        self._timings = timings or Timings()
        self.state = WorkerState.STOPPED
        self.failure: WorkerError | None = None
        self.description: dict[str, Any] = {}
        self._callbacks: list[StateCallback] = []
        self._waiting: deque[Request] = deque()
        self._arrived = asyncio.Event()
        self._ids = itertools.count(1)
        self._ready_since = math.inf
        self._task: asyncio.Task[None] | None = None

    def on_change(self, callback: StateCallback) -> None:
        """Call `callback(state, failure)` on the event loop whenever the state changes. It must not raise."""
        self._callbacks.append(callback)

    async def start(self) -> None:
        """Start the worker, without waiting until it is ready. Does nothing if it is started already."""
        if self._task is None:
            self._set_state(WorkerState.STARTING)
            self._task = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """End the worker and all its children; every request that waits fails with WorkerError."""
        await self._end()
        self._fail_waiting(WorkerError("the worker was stopped"))
        self._set_state(WorkerState.STOPPED)

    async def restart(self, options: dict[str, Any] | None = None) -> None:
        """Replace the worker by a new one, with new options if given, without waiting until it is ready.

        The request the old one was busy with fails with WorkerError; those that wait go to the new one.
        """
        if options is not None:
            self._options = options
        await self._end()
        self._set_state(WorkerState.RESTARTING)
        self._task = asyncio.create_task(self._supervise())

    async def score(
        self,
        text: str,
        language_id: str,
        *,
        at: Callable[[], int] = lambda: 0,
        on_part: PartCallback = lambda _: None,
    ) -> ScoredArrays:
        """Score a text, once the worker is ready; of the texts that wait, the newest is the next.

        `on_part` is called on the event loop with what the scorer knows before the whole; it must not raise. `at` is
        called when the worker begins, for the offset of the character whose surroundings come first.

        Raises BadInput if the scorer refuses the text; LoadInterrupted if the worker ends before it is ready;
        WorkerError if the worker is stopped or cannot load, or dies, fails or takes too long over this text. Cancelling
        drops the request; a worker that has begun it ends after the window of the text that it is at.
        """
        return await self._queue(
            "score", lambda: {"text": text, "language_id": language_id, "at": at()}, len(text), on_part
        )

    async def ask(
        self, question: str, parameters: dict[str, Any], on_part: PartCallback = lambda _: None
    ) -> ScoredArrays:
        """Ask the scorer something else; `parameters` must be JSON. Waits, fails and is cancelled as `score` is."""
        fields = {"question": question, "parameters": parameters}
        return await self._queue("ask", lambda: fields, _length(parameters), on_part)

    async def _queue(
        self, kind: str, fields: Callable[[], dict[str, Any]], length: int, on_part: PartCallback
    ) -> ScoredArrays:
        if self.state in (WorkerState.STOPPED, WorkerState.FAILED):
            raise self.failure or WorkerError("the worker is not running", "start it first")
        answer: asyncio.Future[ScoredArrays] = asyncio.get_running_loop().create_future()
        self._waiting.append(Request(next(self._ids), kind, fields, length, on_part, answer))
        self._arrived.set()
        return await answer

    async def _end(self) -> None:
        task, self._task = self._task, None
        while task is not None and not task.done():
            task.cancel()
            # Before Python 3.12 `wait_for` swallows a cancellation that comes along with what it waits for.
            await asyncio.wait({task}, timeout=_SECONDS_TO_END)

    async def _supervise(self) -> None:
        """Run one worker after the other until one refuses to load."""
        loop = asyncio.get_running_loop()
        backoff = self._timings.backoff
        while True:
            self._ready_since = math.inf
            try:
                await self._run_worker()
            except LoadRefused as refusal:
                self._give_up(refusal.error)
                return
            except WorkerError as error:
                if loop.time() - self._ready_since > self._timings.healthy:
                    backoff = self._timings.backoff
                self._set_state(WorkerState.RESTARTING, error)
            except Exception as error:
                logger.exception("the supervision of the worker failed")
                self._give_up(WorkerError(f"the worker cannot be supervised ({type(error).__name__})", "see the log"))
                return
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, self._timings.longest_backoff)

    async def _run_worker(self) -> None:
        """One worker from its start to its end, which is always an exception."""
        timings = self._timings
        process = await WorkerProcess.start(self._command)
        try:
            try:
                self.description = await process.load(self._options, timings.load)
            except WorkerError as error:
                self._fail_waiting(LoadInterrupted(error.message, error.hint))
                raise
            self._ready_since = asyncio.get_running_loop().time()
            while True:
                self._set_state(WorkerState.READY)
                request = await self._next_request(process)
                self._set_state(WorkerState.BUSY)
                await process.answer(request, timings.request + timings.request_per_character * request.length)
        finally:
            await process.stop()

    async def _next_request(self, process: WorkerProcess) -> Request:
        """The next question somebody waits for. Raises WorkerError if the worker ends meanwhile."""
        while True:
            while self._waiting:
                # The newest first: it is of the document that a person is at.
                request = self._waiting.pop()
                if not request.answer.done():
                    return request
            self._arrived.clear()
            await process.watch(self._arrived)

    def _give_up(self, error: WorkerError) -> None:
        self._fail_waiting(error)
        self._set_state(WorkerState.FAILED, error)

    def _fail_waiting(self, error: WorkerError) -> None:
        while self._waiting:
            self._waiting.popleft().fail(error)

    def _set_state(self, state: WorkerState, failure: WorkerError | None = None) -> None:
        self.failure = failure
        if state is self.state:
            return
        self.state = state
        for callback in self._callbacks:
            callback(state, failure)


def _length(value: Any) -> int:
    """How many characters a question's texts have together."""
    if isinstance(value, str):
        return len(value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(_length(part) for part in parts)
