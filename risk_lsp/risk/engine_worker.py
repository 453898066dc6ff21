"""The worker process: it hosts one bundle, and answers the messages that arrive on standard input."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
import psutil
from numpy.typing import NDArray

from risk_lsp.errors import BadInput, RiskError
from risk_lsp.model.cores import cancellable, stop_if_unwanted
from risk_lsp.model.infilling import Infiller, preferences
from risk_lsp.model.window_memory import WindowMemory
from risk_lsp.probe.manifest import bundle_path
from risk_lsp.risk.engine import DiskCache, Engine, cache_folder, key_prefix, text_key
from risk_lsp.risk.span_risk import SpanRisk, WritingTask, texts_to_arrays
from risk_lsp.text.document import Span
from risk_lsp.worker.messages import Message, pack, read_message

if TYPE_CHECKING:
    from risk_lsp.model.generation import AdaptedModel
    from risk_lsp.risk.writer import Writer


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


Answer = tuple[dict[str, Any], dict[str, NDArray[Any]]]  # a JSON header and named arrays


class HostedScorer(Protocol):
    """What the worker hosts."""

    def score(self, text: str, language_id: str, at: int, on_part: Callable[[Answer], None]) -> Answer:
        """The risks of one text. Raises BadInput for a text that cannot be scored.

        `on_part` may be given what is known before the whole, the surroundings of the character `at` first.
        """
        ...

    def answer(self, question: str, parameters: dict[str, Any], on_part: Callable[[Answer], None]) -> Answer:
        """The answer to another question. Raises BadInput for one that it does not know.

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
    sys.stdout.flush()
    # Unbuffered: a thread that waits in a buffered reader holds its lock and would disturb the interpreter's exit.
    incoming, outgoing = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
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
            self._write(pack(Message("failed", explain(error))))
            return 1
        give_back_free_memory()  # what reading the weights left behind
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
            frame = pack(Message("error", {"id": request_id, **explain(error)}))
        self._cancelled.discard(request_id)
        self._write(frame)

    def _write(self, frame: bytes) -> None:
        try:
            self._outgoing.write(frame)
            self._outgoing.flush()
        except OSError:  # nobody reads any more
            os._exit(1)


def _exit_with_parent(parent: int) -> None:
    """Exit when the parent is gone, even if another process holds our stdin open."""
    never = threading.Event()
    while os.getppid() == parent:
        never.wait(_PARENT_CHECK_SECONDS)
    os._exit(1)


def explain(error: Exception) -> dict[str, Any]:
    """`message` and `hint` of an error, and whether the text is at fault: `refused`.

    One that is not meant for people is reduced to its type and place.

    The text of the latter may quote the user's source or paths, which belong neither in messages nor in logs.
    """
    if isinstance(error, RiskError):
        return {"message": error.message, "hint": error.hint, "refused": isinstance(error, BadInput)}
    frames = [(str(frame.f_globals.get("__name__")), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    places = [f"{name}, line {line}" for name, line in frames]
    print(f"{type(error).__name__} at: {'; '.join(places)}", file=sys.stderr, flush=True)
    ours = [place for place in places if place.startswith("risk_lsp.")]
    where = (ours or places or ["an unknown place"])[-1]
    message = f"the worker met a {type(error).__name__} in {where}"
    return {"message": message, "hint": "the log has the whole trace", "refused": False}


_WHOLE_BLOCK = re.compile(r"```[^\n]*\n.*?^[ \t]*```", re.DOTALL | re.MULTILINE)  # nothing is asked behind it
_ANSWER_SECONDS = 40.0  # after which an answer is cut short: less than the supervisor waits before it ends a worker


class SideQuestions:
    """Answers questions by name, with `parameters` as JSON."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._infiller = Infiller(engine.model)
        self._writer: Writer | None = None
        self._adapted: tuple[str, AdaptedModel] | None = None  # the adapter's folder, and the model with it

    def answer(
        self, question: str, parameters: dict[str, Any], on_part: Callable[[Answer], None] = lambda _: None
    ) -> Answer:
        """Answer a question. Raises BadInput for one that is not known. `on_part` sees what is being written."""
        if question == "risks":
            return self._risks(parameters["texts"], parameters["language_id"])
        if question == "infill":
            fills = [
                self._infiller.fill(
                    parameters["text"], start, end, count=parameters["count"], max_tokens=parameters["max_tokens"]
                )
                for start, end in parameters["spans"]
            ]
            return {"infills": [[[fill.text, fill.log_probability] for fill in texts] for texts in fills]}, {}
        if question == "write":
            if self._writer is None:  # which takes memory, and most people do without
                from risk_lsp.risk.writer import Writer

                self._writer = Writer(self._engine)
            task = WritingTask(**parameters)
            on_line = (lambda text: on_part(texts_to_arrays([text]))) if task.tells_lines else None
            return texts_to_arrays(self._writer.write(task, on_line))
        if question == "chat":
            return self._chat(**parameters), {}
        if question == "alternatives":
            return self._alternatives(parameters)
        if question == "preferences":
            texts = [self._engine.model_text(text).text for text in (parameters["text"], *parameters["variants"])]
            found = preferences(self._engine.model, texts[0], texts[1:])
            return {}, {"preferences": found}
        raise BadInput(f"the worker knows no question {question!r}", "the two processes run different versions")

    def _risks(self, texts: list[str], language_id: str) -> Answer:
        headers: list[dict[str, Any]] = []
        arrays: dict[str, NDArray[Any]] = {}
        for number, risk in enumerate(self._engine.score_many(texts, language_id)):
            header, own = risk.to_arrays()
            headers.append(header)
            arrays |= {f"{number}.{name}": array for name, array in own.items()}
        return {"risks": headers}, arrays

    def _chat(self, adapter: str, prompt: str, max_tokens: int, temperature: float, seed: int) -> dict[str, Any]:
        if self._adapted is None or self._adapted[0] != adapter:  # which takes the memory of another model
            from risk_lsp.model.generation import AdaptedModel
            from risk_lsp.model.sources import Adapter

            self._adapted = None
            self._adapted = adapter, AdaptedModel(self._engine.model, Adapter.load(Path(adapter)))
        latest = time.monotonic() + _ANSWER_SECONDS

        def over(text: str) -> int | None:
            block = _WHOLE_BLOCK.search(text)
            return block.end() if block is not None else len(text) if time.monotonic() > latest else None

        found, read = self._adapted[1].answer(
            prompt, max_tokens=max_tokens, temperature=temperature, seed=seed, over=over
        )
        return {"text": found.text, "prompt_tokens": read, "completion_tokens": found.tokens}

    def _alternatives(self, asked: dict[str, Any]) -> Answer:
        given = self._engine.model_text(asked["text"], asked["language_id"])
        start, end = given.span_in_text(Span(*asked["span"]))
        found = self._infiller.alternatives(given.text, start, end, asked["top"])
        places = np.array([(token.start, token.end) for token in found], dtype=np.int64).reshape(-1, 2)
        starts, ends = given.spans_in_document(places[:, 0], places[:, 1])
        return {
            "alternatives": [
                [*place, token.probability, list(token.expected)]
                for *place, token in zip(starts.tolist(), ends.tolist(), found, strict=True)
            ]
        }, {}


_CACHE_BYTES = 256_000_000


class EngineScorer:
    """The engine as the worker's loop wants it."""

    def __init__(self, engine: Engine, memory: WindowMemory, disk: DiskCache | None) -> None:
        self._engine = engine
        self._memory = memory
        self._disk = disk
        self._prefix = key_prefix(engine.manifest, f"{engine.model.device} {engine.model.dtype} rounded")
        self._questions = SideQuestions(engine)

    def describe(self) -> dict[str, Any]:
        """What is loaded, for the server's status and hover."""
        return self._engine.describe()

    def score(self, text: str, language_id: str, at: int, on_part: Callable[[Answer], None]) -> Answer:
        """The risks of one text, as a header and arrays; those of its parts, as they are known."""

        def score_anew() -> SpanRisk:
            return self._engine.rescore(
                text, language_id, self._memory, at=at, on_part=lambda part: on_part(part.to_arrays())
            )

        if self._disk is None:
            return score_anew().to_arrays()
        key = text_key(self._prefix, text, language_id)
        risk = self._disk.get(key)
        if risk is None:
            before = self._memory.tokens_run
            risk = score_anew()
            # A text that was hardly known is one that somebody opened; one after an edit is followed by the next.
            if 2 * (self._memory.tokens_run - before) >= len(risk.starts):
                self._disk.put(key, risk)
        return risk.to_arrays()

    def answer(
        self, question: str, parameters: dict[str, Any], on_part: Callable[[Answer], None] = lambda _: None
    ) -> Answer:
        """What repair, explanations and writing ask."""
        return self._questions.answer(question, parameters, on_part)


def warm_engine(options: dict[str, Any]) -> Engine:
    """Load the bundle that the options name and run it once, so that the first document does not wait.

    With the options `vllm` and `vllm_folder` a vLLM server runs the model.
    """
    vllm = None
    if options.get("vllm") is not None:
        from risk_lsp.model.decoders.vllm_host import KEY_VARIABLE, VllmAddress

        vllm = VllmAddress(options["vllm"], Path(options["vllm_folder"]), os.environ.get(KEY_VARIABLE))
    engine = Engine.load(
        bundle_path(options.get("bundle")),
        device=options.get("device", "auto"),
        dtype=options.get("dtype", "auto"),
        offline=options.get("offline", True),
        threads=options.get("threads"),
        whole_model=options.get("writes", False),
        vllm=vllm,
    )
    engine.score("def warm_up():\n    return 1\n")
    return engine


def load(options: dict[str, Any]) -> EngineScorer:
    """The scorer of one person's editor, which leaves the cores to what the person does."""
    step_back()
    engine = warm_engine(options)
    memory = WindowMemory(options.get("cache_bytes", _CACHE_BYTES))
    disk_bytes = options.get("disk_cache_bytes", 0)
    return EngineScorer(engine, memory, DiskCache(cache_folder(), disk_bytes) if disk_bytes else None)


if __name__ == "__main__":
    sys.exit(run_worker(load))
