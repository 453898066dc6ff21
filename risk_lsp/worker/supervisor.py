"""A worker for its owner: where it is, what it is asked, and another one when it dies."""

from __future__ import annotations

import asyncio
import enum
import itertools
import logging
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from risk_lsp.errors import WorkerError
from risk_lsp.worker.messages import LoadRefused, PartCallback, Request, ScoredArrays, WorkerProcess

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


class SupervisedWorker(ABC):
    """What answers questions about texts, as its owner sees it. Use from one event loop.

    `state` is where it is now; `failure` why it failed or is restarting, None while it is well; `description` what it
    said it had loaded, the last time it was ready.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self.state = WorkerState.STOPPED
        self.failure: WorkerError | None = None
        self.description: dict[str, Any] = {}
        self._callbacks: list[StateCallback] = []
        self._task: asyncio.Task[None] | None = None

    def on_change(self, callback: StateCallback) -> None:
        """Call `callback(state, failure)` on the event loop whenever the state changes. It must not raise."""
        self._callbacks.append(callback)

    async def start(self) -> None:
        """Start, without waiting until it is ready. Does nothing if it is started already."""
        if self._task is None:
            self._set_state(WorkerState.STARTING)
            self._task = asyncio.create_task(self._keep_at_work())

    async def stop(self) -> None:
        """End the worker and all its children; every request that waits fails with WorkerError."""
        await self._end()
        self._set_state(WorkerState.STOPPED)

    async def restart(self, options: dict[str, Any] | None = None) -> None:
        """Replace the worker by a new one, with new options if given, without waiting until it is ready.

        The request the old one was busy with fails with WorkerError; those that wait go to the new one.
        """
        if options is not None:
            self._options = options
        await self._end()
        self._set_state(WorkerState.RESTARTING)
        self._task = asyncio.create_task(self._keep_at_work())

    @abstractmethod
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

    @abstractmethod
    async def ask(
        self, question: str, parameters: dict[str, Any], on_part: PartCallback = lambda _: None
    ) -> ScoredArrays:
        """Ask the scorer something else; `parameters` must be JSON. Waits, fails and is cancelled as `score` is."""

    @abstractmethod
    async def _keep_at_work(self) -> None:
        """What runs from the start to the end."""

    async def _end(self) -> None:
        task, self._task = self._task, None
        while task is not None and not task.done():
            task.cancel()
            # Before Python 3.12 `wait_for` swallows a cancellation that comes along with what it waits for.
            await asyncio.wait({task}, timeout=_SECONDS_TO_END)

    def _check_running(self) -> None:
        if self.state in (WorkerState.STOPPED, WorkerState.FAILED):
            raise self.failure or WorkerError("the worker is not running", "start it first")

    def _set_state(self, state: WorkerState, failure: WorkerError | None = None, *, always_tell: bool = False) -> None:
        self.failure = failure
        if state is not self.state or always_tell:
            self.state = state
            for callback in self._callbacks:
                callback(state, failure)


class Supervisor(SupervisedWorker):
    """Starts a worker process, restarts it when it dies, and never lets a request wait for ever.

    `command` starts the worker; `options` go to its `load` and must be JSON, paths in them absolute.
    """

    def __init__(self, options: dict[str, Any], *, command: Sequence[str], timings: Timings | None = None) -> None:
        super().__init__(options)
        self._command = command
        self._timings = timings or Timings()
        self._waiting: deque[Request] = deque()
        self._arrived = asyncio.Event()
        self._ids = itertools.count(1)
        self._ready_since = math.inf

    async def stop(self) -> None:
        """As of every worker."""
        await self._end()
        self._fail_waiting(WorkerError("the worker was stopped"))
        self._set_state(WorkerState.STOPPED)

    async def score(
        self,
        text: str,
        language_id: str,
        *,
        at: Callable[[], int] = lambda: 0,
        on_part: PartCallback = lambda _: None,
    ) -> ScoredArrays:
        """As of every worker."""
        return await self._queue(
            "score", lambda: {"text": text, "language_id": language_id, "at": at()}, len(text), on_part
        )

    async def ask(
        self, question: str, parameters: dict[str, Any], on_part: PartCallback = lambda _: None
    ) -> ScoredArrays:
        """As of every worker."""
        fields = {"question": question, "parameters": parameters}
        return await self._queue("ask", lambda: fields, _length(parameters), on_part)

    async def _queue(
        self, kind: str, fields: Callable[[], dict[str, Any]], length: int, on_part: PartCallback
    ) -> ScoredArrays:
        self._check_running()
        answer: asyncio.Future[ScoredArrays] = asyncio.get_running_loop().create_future()
        self._waiting.append(Request(next(self._ids), kind, fields, length, on_part, answer))
        self._arrived.set()
        return await answer

    async def _keep_at_work(self) -> None:
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


def _length(value: Any) -> int:
    """How many characters a question's texts have together."""
    if isinstance(value, str):
        return len(value)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(_length(part) for part in parts)
