"""The worker's own side: it reads messages from stdin, writes answers to stdout, and leaves the cores to others."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import traceback
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import IO, Any, Protocol

import psutil
from numpy.typing import NDArray

from risk_lsp.errors import BadInput, RiskError
from risk_lsp.model.window_runs import cancellable, stop_if_unwanted
from risk_lsp.worker.messages import Message, pack, read_message

_NICENESS = 5  # hovers, and what else waits for a core, come first; where nothing else runs it costs nothing
_NICENESS_ON_BATTERY = 10
_PARENT_CHECK_SECONDS = 1.0
_QUIET_SECONDS = 1.0


def step_back() -> int:
    """Lower this process's priority where the platform lets it; returns by how much it was asked to."""
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    niceness = _NICENESS if battery is None or battery.power_plugged is not False else _NICENESS_ON_BATTERY
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(niceness)
    return niceness


def give_back_free_memory() -> None:
    """Return freed memory to the system, where the platform has a way to do that.

    glibc keeps freed memory below the highest block in use: a small array that outlives a pass can hold the whole
    heap below it.
    """
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none, and returns memory by itself
        if trim is not None:
            trim(0)


Answer = tuple[dict[str, Any], dict[str, NDArray[Any]]]


class HostedScorer(Protocol):
    """What the worker hosts."""

    def score(self, text: str, language_id: str, at: int, on_part: Callable[[Answer], None]) -> Answer:
        """A JSON header and named arrays for one text. Raises BadInput for a text that cannot be scored.

        `on_part` may be given what is known before the whole, the surroundings of the character `at` first.
        """
        ...

    def answer(self, question: str, parameters: dict[str, Any], on_part: Callable[[Answer], None]) -> Answer:
        """A JSON header and named arrays for another question. BadInput for one that it does not know.

        `on_part` may be given what is known before the whole.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """What is loaded, as JSON, for people and logs."""
        ...


def run_worker(load: Callable[[dict[str, Any]], HostedScorer]) -> int:
    """Serve messages until told to shut down; returns the exit status.

    Takes over the process: stdin and stdout become the connection, and whatever else reads or prints gets /dev/null
    and stderr. The process exits at once when stdin ends or its parent is gone, even in the middle of a computation.
    """
    incoming, outgoing = _take_over_pipes()
    worker = _Worker(load, outgoing)
    threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()
    threading.Thread(target=worker.listen, args=(incoming,), daemon=True).start()
    return worker.work()


class _Worker:
    """Answers on the main thread; another thread reads, so that the end and cancellations are noticed at once."""

    def __init__(self, load: Callable[[dict[str, Any]], HostedScorer], outgoing: IO[bytes]) -> None:
        self._load = load
        self._outgoing = outgoing
        self._messages: SimpleQueue[Message] = SimpleQueue()
        self._cancelled: set[int] = set()

    def listen(self, incoming: IO[bytes]) -> None:
        """Queue messages; exit when they end."""
        try:
            while (message := read_message(incoming)) is not None and message.kind != "shutdown":
                if message.kind == "cancel":
                    self._cancelled.add(message.fields["id"])
                else:
                    self._messages.put(message)
        except (OSError, RiskError):
            os._exit(1)
        os._exit(0)

    def work(self) -> int:
        """Load on the first message and answer the others."""
        try:
            scorer = self._load(self._messages.get().fields["options"])
            description = scorer.describe()
        except Exception as error:
            self._write(pack(Message("failed", _explain(error))))
            return 1
        self._write(pack(Message("ready", {"description": description})))
        while True:
            try:
                request = self._messages.get(timeout=_QUIET_SECONDS)
            except Empty:  # not after every answer: while somebody types, the next pass needs the same memory again
                give_back_free_memory()
                request = self._messages.get()
            self._answer(scorer, request)

    def _answer(self, scorer: HostedScorer, request: Message) -> None:
        request_id = request.fields["id"]

        def send_part(part: Answer) -> None:
            header, arrays = part
            self._write(pack(Message("part", {"id": request_id, "header": header}, arrays)))

        try:
            with cancellable(lambda: request_id in self._cancelled):
                stop_if_unwanted()
                if request.kind == "ask":
                    header, arrays = scorer.answer(request.fields["question"], request.fields["parameters"], send_part)
                else:
                    text, language_id, at = (request.fields[name] for name in ("text", "language_id", "at"))
                    header, arrays = scorer.score(text, language_id, at, send_part)
            frame = pack(Message("result", {"id": request_id, "header": header}, arrays))
        except Exception as error:
            refused = isinstance(error, BadInput)
            frame = pack(Message("error", {"id": request_id, **_explain(error), "refused": refused}))
        self._cancelled.discard(request_id)
        self._write(frame)

    def _write(self, frame: bytes) -> None:
        try:
            self._outgoing.write(frame)
            self._outgoing.flush()
        except OSError:  # nobody reads any more
            os._exit(1)


def _take_over_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Keep the two pipes to ourselves, so that a stray print or read cannot corrupt the protocol."""
    sys.stdout.flush()
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    # Unbuffered: a thread that waits in a buffered reader holds its lock and would disturb the interpreter's exit.
    return open(incoming, "rb", buffering=0), open(outgoing, "wb")


def _exit_with_parent(parent: int) -> None:
    """Exit when the parent is gone, even if another process holds our stdin open."""
    never = threading.Event()
    while os.getppid() == parent:
        never.wait(_PARENT_CHECK_SECONDS)
    os._exit(1)


def _explain(error: Exception) -> dict[str, str]:
    """`message` and `hint` of an error. One that is not meant for people is reduced to its type and place.

    The text of such an error may quote the user's source or paths, which belong neither in messages nor in logs.
    """
    if isinstance(error, RiskError):
        return {"message": error.message, "hint": error.hint}
    frames = [(str(frame.f_globals.get("__name__")), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    places = [f"{name}, line {line}" for name, line in frames]
    print(f"{type(error).__name__} at: {'; '.join(places)}", file=sys.stderr, flush=True)
    ours = [place for place in places if place.startswith("risk_lsp.")]
    where = (ours or places or ["an unknown place"])[-1]
    return {"message": f"the worker met a {type(error).__name__} in {where}", "hint": "the log has the whole trace"}
