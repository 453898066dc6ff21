"""Keeps a worker process alive and passes it one text at a time."""

from __future__ import annotations

import asyncio
import enum
import itertools
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from risk_lsp.errors import BadInput, RiskError, WorkerError
from risk_lsp.worker.messages import Message
from risk_lsp.worker.process import WorkerProcess

logger = logging.getLogger(__name__)


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


class ScoredArrays(NamedTuple):
    """What the worker's scorer gave for one text."""

    header: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


PartCallback = Callable[[ScoredArrays], None]


@dataclass(frozen=True)
class Timings:
    """All in seconds.

    A worker that takes longer is killed: `load` to be ready, `request` and `request_per_character` for its texts. The
    pause before a restart doubles from `backoff` to `longest_backoff`; `healthy` seconds of service reset it.
    """

    load: float = 900.0
    request: float = 60.0
    request_per_character: float = 0.002
    backoff: float = 0.2
    longest_backoff: float = 30.0
    healthy: float = 60.0


@dataclass(frozen=True)
class _Request:
    """A question on its way, `length` characters long; the future is cancelled if the caller no longer waits."""

    id: int
    message: Message
    length: int
    on_part: PartCallback
    answer: asyncio.Future[ScoredArrays]

    def pass_on(self, part: Message) -> None:
        if not self.answer.done():
            self.on_part(ScoredArrays(part.fields["header"], dict(part.arrays)))

    def fail(self, error: RiskError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class _LoadRefused(Exception):
    """The worker said that it cannot load; trying again would not help."""

    def __init__(self, error: WorkerError) -> None:
        super().__init__(str(error))
        self.error = error


class Supervisor:
    """Starts the worker, restarts it when it dies, and never lets a request wait for ever.

    `command` starts the worker; `options` go to its `load` and must be JSON, paths in them absolute. Use from one event
    loop.
    """

    def __init__(self, options: dict[str, Any], *, command: Sequence[str], timings: Timings | None = None) -> None:
        self._options = options
        self._command = command
        self._timings = timings or Timings()
        self._state = WorkerState.STOPPED
        self._failure: WorkerError | None = None
        self._description: dict[str, Any] = {}
        self._callbacks: list[StateCallback] = []
        self._waiting: deque[_Request] = deque()
        self._arrived = asyncio.Event()
        self._ids = itertools.count(1)
        self._ready_since = math.inf
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> WorkerState:
        """Where the worker is now."""
        return self._state

    @property
    def failure(self) -> WorkerError | None:
        """Why the worker failed or is restarting; None while it is well."""
        return self._failure

    @property
    def description(self) -> dict[str, Any]:
        """What the worker said it had loaded, the last time it was ready."""
        return self._description

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
        self, text: str, language_id: str, *, at: int = 0, on_part: PartCallback = lambda _: None
    ) -> ScoredArrays:
        """Score a text, once the worker is ready; of the texts that wait, the newest is the next.

        What the scorer knows before the whole goes to `on_part`, which must not raise, on the event loop; the
        surroundings of the character `at` come first.

        Raises BadInput if the scorer refuses the text; WorkerError if the worker is stopped or cannot load, or dies,
        fails or takes too long over this text. Cancelling drops the request; a worker that has begun it ends after the
        window of the text that it is at.
        """
        fields = {"text": text, "language_id": language_id, "at": at}
        return await self._queued("score", fields, len(text), on_part)

    async def ask(self, question: str, parameters: dict[str, Any]) -> ScoredArrays:
        """Ask the scorer something else; `parameters` must be JSON. Waits, fails and is cancelled as `score` is."""
        return await self._queued("ask", {"question": question, "parameters": parameters}, _length(parameters))

    async def _queued(
        self, kind: str, fields: dict[str, Any], length: int, on_part: PartCallback = lambda _: None
    ) -> ScoredArrays:
        if self._state in (WorkerState.STOPPED, WorkerState.FAILED):
            raise self._failure or WorkerError("the worker is not running", "start it first")
        request_id = next(self._ids)
        message = Message(kind, {"id": request_id, **fields})
        request = _Request(request_id, message, length, on_part, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        self._arrived.set()
        return await request.answer

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
            except _LoadRefused as refusal:
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
        try:
            process = await WorkerProcess.start(self._command)
        except OSError as error:
            raise _LoadRefused(
                WorkerError(f"{self._command[0]} cannot be started", "check the installation")
            ) from error
        try:
            await self._load(process)
            await self._serve(process)
        finally:
            await process.stop()

    async def _load(self, process: WorkerProcess) -> None:
        try:
            await process.send(Message("load", {"options": self._options}))
            reply = await self._first_reply(process)
        except WorkerError as error:
            self._fail_waiting(error)
            raise
        if reply.kind == "failed":
            raise _LoadRefused(WorkerError(reply.fields["message"], reply.fields["hint"]))
        if reply.kind != "ready":
            raise _unasked(reply)
        self._description = reply.fields["description"]

    async def _first_reply(self, process: WorkerProcess) -> Message:
        arrival = asyncio.ensure_future(process.receive())
        try:
            await asyncio.wait({arrival}, timeout=self._timings.load)
            if not arrival.done():
                raise WorkerError(f"the worker was not ready after {self._timings.load:.0f} s", "it is started again")
            return arrival.result()
        finally:
            arrival.cancel()

    async def _serve(self, process: WorkerProcess) -> None:
        """Pass on requests one at a time; raises WorkerError when the worker dies or hangs."""
        self._ready_since = asyncio.get_running_loop().time()
        reply = asyncio.ensure_future(process.receive())
        try:
            while True:
                self._set_state(WorkerState.READY)
                request = await self._next_request(reply)
                self._set_state(WorkerState.BUSY)
                await self._answer(request, process, reply)
                reply = asyncio.ensure_future(process.receive())
        finally:
            reply.cancel()

    async def _next_request(self, reply: asyncio.Future[Message]) -> _Request:
        """The next text somebody waits for. A message or the end of the worker meanwhile raises WorkerError."""
        while True:
            while self._waiting:
                # The newest first: it is of the document that a person is at.
                request = self._waiting.pop()
                if not request.answer.done():
                    return request
            self._arrived.clear()
            arrival = asyncio.ensure_future(self._arrived.wait())
            either: set[asyncio.Future[Any]] = {arrival, reply}
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            finally:
                arrival.cancel()
            if reply.done():
                raise _unasked(reply.result())

    async def _answer(self, request: _Request, process: WorkerProcess, reply: asyncio.Future[Message]) -> None:
        """Have one question answered. Raises WorkerError, after passing it on, if the worker does not survive it."""
        try:
            await process.send(request.message)
            message = await self._reply_to(request, process, reply)
        except WorkerError as error:
            request.fail(error)
            raise
        except BaseException:
            request.fail(WorkerError("the worker was restarted or stopped meanwhile", "ask again"))
            raise
        if request.answer.done():
            return
        if message.kind == "result":
            request.answer.set_result(ScoredArrays(message.fields["header"], dict(message.arrays)))
        else:
            kind = BadInput if message.fields["refused"] else WorkerError
            request.fail(kind(message.fields["message"], message.fields["hint"]))

    async def _reply_to(self, request: _Request, process: WorkerProcess, reply: asyncio.Future[Message]) -> Message:
        """The last message that answers the request; parts before it are passed on."""
        seconds = self._timings.request + self._timings.request_per_character * request.length
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            while True:
                await self._one_reply(request, process, reply, deadline)
                if not reply.done():
                    raise WorkerError(f"the worker took longer than {seconds:.0f} s over a text", "it is started again")
                message = reply.result()
                if message.kind not in ("part", "result", "error") or message.fields["id"] != request.id:
                    raise _unasked(message)
                if message.kind != "part":
                    return message
                reply = asyncio.ensure_future(process.receive())
                request.pass_on(message)
        finally:
            reply.cancel()

    async def _one_reply(
        self, request: _Request, process: WorkerProcess, reply: asyncio.Future[Message], deadline: float
    ) -> None:
        """Wait for the reply until the deadline; tell the worker should nobody wait for it any more."""
        loop = asyncio.get_running_loop()
        either: set[asyncio.Future[Any]] = {reply, request.answer}
        await asyncio.wait(either, timeout=deadline - loop.time(), return_when=asyncio.FIRST_COMPLETED)
        if request.answer.cancelled() and not reply.done():
            # The worker may not have begun. If it has, its reply is awaited all the same, and dropped.
            await process.send(Message("cancel", {"id": request.id}))
            await asyncio.wait({reply}, timeout=deadline - loop.time())

    def _give_up(self, error: WorkerError) -> None:
        self._fail_waiting(error)
        self._set_state(WorkerState.FAILED, error)

    def _fail_waiting(self, error: WorkerError) -> None:
        while self._waiting:
            self._waiting.popleft().fail(error)

    def _set_state(self, state: WorkerState, failure: WorkerError | None = None) -> None:
        self._failure = failure
        if state is self._state:
            return
        self._state = state
        for callback in self._callbacks:
            callback(state, failure)


def _length(value: Any) -> int:
    """How many characters a question's texts have together."""
    if isinstance(value, str):
        return len(value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(_length(part) for part in parts)


def _unasked(message: Message) -> WorkerError:
    return WorkerError(f"the worker sent {message.kind} unasked", "it is started again")
