"""Reads the windows of a text on several cores, with a memory of those of its earlier versions.

The rows of a known window are recalled. Only the tokens behind the unchanged beginning of an edited window are run.
Reading ends between two windows once nobody waits for the result.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from risk_lsp.errors import WorkerError
from risk_lsp.model.host import Decoding, Host, Run

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Threads:
    """Runs numpy's work on `count` cores: on one item by the free ones, or on several items with one core each."""

    def __init__(self, count: int | None) -> None:
        self.count = count or available_cores()
        self._controller = ThreadpoolController()
        self._pool = ThreadPoolExecutor(self.count)

    def map(self, work: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        """`work` on each item, in order; one item has all free cores for itself."""
        if len(items) == 1:
            with self.together():
                return [work(items[0])]
        return self.map_alone(work, items)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Matrix products run on all free cores as long as this lasts.

        The threads of a product wait for each other without giving their cores away: where other processes hold these,
        two threads take many times as long as one.
        """
        with self._controller.limit(limits=min(self.count, free_cores()), user_api="blas"):
            yield

    def map_alone(self, work: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        """`work` on each item, in order, with one thread each, even a single one.

        Small matrix products gain nothing from more threads, and lose much where the cores are busy.
        """
        with self._controller.limit(limits=1, user_api="blas"):
            if len(items) == 1:
                return [work(items[0])]
            contexts = [copy_context() for _ in items]  # work in a pool is cancelled like work that is not
            return list(self._pool.map(lambda context, item: context.run(work, item), contexts, items))


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_LOOKS, _SECONDS_BETWEEN_LOOKS = 3, 0.001  # what runs for a moment only, such as the editor, is not seen by all of them
_SECONDS_KNOWN = 0.5


class _FreeCores:
    """Cores of the machine on which nothing else runs, at least 1; all where the system does not say."""

    def __init__(self) -> None:
        self._looked_at = -_SECONDS_KNOWN
        self._free = os.cpu_count() or 1

    def __call__(self) -> int:
        if time.monotonic() - self._looked_at >= _SECONDS_KNOWN:
            with suppress(OSError, ValueError, IndexError):
                self._free = max(1, (os.cpu_count() or 1) - self._others())
            self._looked_at = time.monotonic()
        return self._free

    def _others(self) -> int:
        """Threads of other processes that run or wait for a core: as many as every look sees.

        Threads of this process are not counted: those of a product go on waiting for the next one for a while.
        """
        found = []
        for _ in range(_LOOKS):
            running, _, _ = Path("/proc/loadavg").read_text("ascii").split()[3].partition("/")
            found.append(int(running) - sum(map(_is_running, Path("/proc/self/task").iterdir())))
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        return min(found)


def _is_running(thread: Path) -> bool:
    """Whether a thread, as a folder of /proc, has or waits for a core; one that has ended meanwhile does not."""
    try:
        return (thread / "stat").read_text("ascii", errors="replace").rpartition(")")[2].split()[0] == "R"
    except (OSError, IndexError):
        return False


free_cores = _FreeCores()


_unwanted: ContextVar[Callable[[], bool]] = ContextVar("unwanted", default=lambda: False)


@contextmanager
def cancellable(unwanted: Callable[[], bool]) -> Iterator[None]:
    """Let `stop_if_unwanted` ask `unwanted` as long as this lasts."""
    token = _unwanted.set(unwanted)
    try:
        yield
    finally:
        _unwanted.reset(token)


def stop_if_unwanted() -> None:
    """Call between two steps of long work. Raises WorkerError once nobody waits for the result."""
    if _unwanted.get()():
        raise WorkerError("the request was cancelled", "ask again if it is still wanted")


_LARGEST_HALF = 60_000.0  # float16 ends at 65,504
_RESUMABLE = 6  # windows whose keys and values are kept: those that were edited last


class Past(Protocol):
    """What a host keeps of tokens it ran, so that others can follow."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def first(self, tokens: int) -> Past:
        """That of the first `tokens` tokens, which can be gone on from by itself."""
        ...


@dataclass(frozen=True)
class WindowRows:
    """The kept rows of one window: values [kept, layers, width], and statistics float32[kept] if they were asked for.

    Values are float16 where they fit; what is computed and what is remembered are rounded alike, so that a result does
    not depend on what was read before.
    """

    values: NDArray[Any]
    log_probabilities: NDArray[np.float32] | None
    entropies: NDArray[np.float32] | None

    @property
    def size(self) -> int:
        """Bytes."""
        arrays = (self.values, self.log_probabilities, self.entropies)
        return sum(array.nbytes for array in arrays if array is not None)


@dataclass(frozen=True)
class Resumable:
    """A window that other tokens can follow: its tokens, what its blocks keep of them, rows, and normalised outputs."""

    token_ids: NDArray[np.int64]
    keep: int
    layers: tuple[int, ...]
    past: Past
    rows: WindowRows
    final: Any  # as Run has it

    @property
    def size(self) -> int:
        """Bytes."""
        return self.past.size + self.rows.size + (0 if self.final is None else int(self.final.nbytes))

    def shared_with(self, token_ids: NDArray[np.int64]) -> int:
        """How many tokens both begin with."""
        length = min(len(self.token_ids), len(token_ids))
        differ = np.flatnonzero(self.token_ids[:length] != token_ids[:length])
        return int(differ[0]) if len(differ) else length


class WindowMemory:
    """Rows of windows by their tokens, and the last edited windows to go on from: together at most `most_bytes`.

    The window edited last is kept before anything else, those edited before it where they leave half of the room to the
    rows; of rows, those that were not asked for the longest go first.

    Not for use from two threads at once.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._rows_bytes = 0
        self.tokens_run = 0  # by the model, as long as this memory is used
        self._rows: OrderedDict[bytes, WindowRows] = OrderedDict()
        self._resumable: deque[Resumable] = deque(maxlen=_RESUMABLE)

    def recall(self, key: bytes) -> WindowRows | None:
        """The rows of that window if they are still known."""
        rows = self._rows.get(key)
        if rows is not None:
            self._rows.move_to_end(key)
        return rows

    def remember(self, key: bytes, rows: WindowRows) -> None:
        """Keep the rows of a window."""
        if key in self._rows:
            return
        self._rows[key] = rows
        self._rows_bytes += rows.size
        self._forget()

    def resumable(
        self, token_ids: NDArray[np.int64], keep: int, layers: tuple[int, ...], *, statistics: bool
    ) -> tuple[Resumable, int] | None:
        """The window that shares the most first tokens with this one, and how many; None if none shares any."""
        found = [
            (window, window.shared_with(token_ids))
            for window in self._resumable
            if window.keep == keep and window.layers == layers and (window.final is not None) == statistics
        ]
        best = max(found, key=lambda each: each[1], default=None)
        return best if best is not None and best[1] > 0 else None

    def offer(self, window: Resumable, instead_of: Resumable | None) -> None:
        """Keep a window that later ones can continue from, in the place of the one that it continued itself."""
        if instead_of is not None:
            self._resumable = deque(
                (each for each in self._resumable if each is not instead_of), maxlen=self._resumable.maxlen
            )
        self._resumable.append(window)
        self._forget()

    @property
    def size(self) -> int:
        """Bytes, those that a window and its rows share counted twice."""
        return self._rows_bytes + self._resumable_bytes()

    def _forget(self) -> None:
        while len(self._resumable) > 1 and 2 * self._resumable_bytes() > self._most_bytes:
            self._resumable.popleft()
        if self._resumable_bytes() > self._most_bytes:
            self._resumable.clear()
        while self._rows and self.size > self._most_bytes:
            self._rows_bytes -= self._rows.popitem(last=False)[1].size

    def _resumable_bytes(self) -> int:
        return sum(each.size for each in self._resumable)


def round_to_half(values: NDArray[np.float32]) -> NDArray[Any]:
    """In float16, unless a value does not fit."""
    fits = values.size == 0 or float(np.abs(values).max()) < _LARGEST_HALF
    return values.astype(np.float16) if fits else values


_AT_ONCE = 4  # windows of one run: enough to keep all cores busy
_FEW = 4  # windows of which keys and values are worth keeping: an edit touches no more


class ResumableHost(Host, Protocol):
    """A host that can continue an earlier run with further tokens, if the model allows it."""

    can_go_on: bool  # whether `extend` may follow tokens that were run before

    def new_past(self) -> Past:
        """Room for the keys and values of a run that starts at the first token."""
        ...

    def extend(
        self, sequences: Sequence[NDArray[Any]], pasts: Sequence[Any], layers: Sequence[int], *, to_end: bool
    ) -> list[Run]:
        """Run tokens that follow pasts, several texts together: int64[tokens] each, at least one. Each past, which
        this host made, grows by its tokens.
        """
        ...

    def begin_behind(self, token_ids: NDArray[Any], past: Any, layers: Sequence[int]) -> Decoding:
        """As `extend` to the end, such that more can follow. `past` grows by these tokens alone."""
        ...

    def join(self, first: Any, second: Any) -> Any:
        """The rows of `final` of two runs, one after the other, as those of one run."""
        ...


class WindowReading:
    """The windows of one text, each given as its tokens and the index of the first that is kept, as a host reads them.

    `rows` has those of each window, None for one that `memory` does not know and that was not read yet. Window `first`
    and those around it are read first.
    """

    def __init__(
        self,
        host: Host,
        memory: WindowMemory,
        layers: tuple[int, ...],
        windows: Sequence[tuple[NDArray[np.int64], int]],
        *,
        statistics: bool,
        first: int = 0,
    ) -> None:
        self._host = host
        self._memory = memory
        self._layers = layers
        self._statistics = statistics
        self._windows = windows
        self._keys = [
            blake2b(repr((keep, layers, statistics)).encode() + tokens.tobytes(), digest_size=16).digest()
            for tokens, keep in windows
        ]
        self.rows = [memory.recall(key) for key in self._keys]
        self._missing = [index for index, rows in enumerate(self.rows) if rows is None]
        self._missing.sort(key=lambda index: abs(index - first))
        # Without a block to run, there is nothing to go on from.
        runs_blocks = statistics or max(layers, default=0) > 0
        self._goes_on = runs_blocks and len(self._missing) <= _FEW and bool(getattr(host, "can_go_on", False))

    @property
    def tokens_left(self) -> int:
        """How many tokens the host has to run."""
        return sum(len(self._windows[index][0]) - self._find_past(index)[1] for index in self._missing)

    def read(self, on_part: Callable[[], None] = lambda: None) -> None:
        """Read what is missing.

        Where many windows have to be run, `on_part` is called when the first of them were, and each time that
        twice as many were: few times, however long the text.
        """
        ran, due = 0, _AT_ONCE
        while self._missing:
            ran += self._read_next([self])
            if ran >= due and len(self._missing) >= _AT_ONCE:
                due = 2 * ran
                on_part()

    @staticmethod
    def read_together(readings: Sequence[WindowReading]) -> None:
        """Read what several texts miss, at the same layers of the same host, each into its own memory."""
        while left := [each for each in readings if each._missing]:
            WindowReading._read_next(left)

    @staticmethod
    def _read_next(readings: Sequence[WindowReading]) -> int:
        """Run the host once for the next missing windows of each text; returns how many windows these are.

        Of a text that goes on from what is kept of it, it is one.
        """
        stop_if_unwanted()
        behind, alone = [], []
        for each in readings:
            if each._goes_on:
                behind += [(each, index, *each._find_past(index)) for index in each._missing[:1]]
            else:
                alone += [(each, index) for index in each._missing[:_AT_ONCE]]
        host: Any = readings[0]._host
        layers, to_end = readings[0]._layers, readings[0]._statistics
        if behind:
            pasts = [
                host.new_past() if before is None else before.past.first(shared) for _, _, before, shared in behind
            ]
            tokens = [each._windows[index][0][shared:] for each, index, _, shared in behind]
            runs = host.extend(tokens, pasts, layers, to_end=to_end)
            for (each, index, before, shared), past, run in zip(behind, pasts, runs, strict=True):
                each._go_on(index, before, shared, past, run)
        if alone:
            runs = host.run([each._windows[index][0] for each, index in alone], layers, to_end=to_end)
            for (each, index), run in zip(alone, runs, strict=True):
                window, keep = each._windows[index]
                each._keep(index, each._rows(run.residuals, run.final, window, keep, 0), len(window))
        return len(behind) + len(alone)

    def _find_past(self, index: int) -> tuple[Resumable | None, int]:
        """The earlier window that shares the most first tokens with a window, and how many of them need no run."""
        if not self._goes_on:
            return None, 0
        tokens, keep = self._windows[index]
        known = self._memory.resumable(tokens, keep, self._layers, statistics=self._statistics)
        # At least one token is run, or there would be nothing to keep.
        return (None, 0) if known is None else (known[0], min(known[1], len(tokens) - 1))

    def _go_on(self, index: int, before: Resumable | None, shared: int, past: Past, run: Run) -> None:
        """Keep the rows of a window of which the first `shared` tokens were known, and itself to go on from."""
        tokens, keep = self._windows[index]
        host: Any = self._host
        final = run.final
        if before is not None and before.final is not None:
            final = host.join(before.final[:shared], run.final)
        rows = self._rows(run.residuals, final, tokens, keep, shared)
        if before is not None and shared > keep:
            rows = _join_rows(before.rows, rows, shared - keep)
        self._memory.offer(Resumable(tokens, keep, self._layers, past, rows, final), before)
        self._keep(index, rows, len(tokens) - shared)

    def _keep(self, index: int, rows: WindowRows, tokens_run: int) -> None:
        self._memory.tokens_run += tokens_run
        self.rows[index] = rows
        self._missing.remove(index)
        # At once, so that what was done before a cancellation need not be done again.
        self._memory.remember(self._keys[index], rows)

    def _rows(
        self, residuals: dict[int, NDArray[Any]], final: Any, tokens: NDArray[np.int64], keep: int, ran_from: int
    ) -> WindowRows:
        """Rows of the tokens from `keep` on, without those before `ran_from`, the token that `residuals` begin with."""
        first = max(keep, ran_from)
        values = np.empty((len(tokens) - first, len(self._layers), self._host.width), dtype=np.float32)
        for column, layer in enumerate(self._layers):
            values[:, column] = residuals[layer][first - ran_from :]
        if not self._statistics:
            return WindowRows(round_to_half(values), None, None)
        log_probabilities, entropies = kept_statistics(self._host, final, tokens, first)
        return WindowRows(round_to_half(values), log_probabilities, entropies)


def kept_statistics(
    host: Host, final: Any, tokens: NDArray[np.int64], first: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Log-probabilities and entropies in nats of tokens[first:], float32 each; 0 for a token that nothing precedes."""
    predicted = max(first, 1)
    nothing = np.zeros(predicted - first, dtype=np.float32)
    log_probabilities, entropies = host.statistics(final[predicted - 1 : len(tokens) - 1], tokens[predicted:])
    return np.concatenate([nothing, log_probabilities]), np.concatenate([nothing, entropies])


def _join_rows(before: WindowRows, after: WindowRows, count: int) -> WindowRows:
    """The first `count` rows of `before`, then all rows of `after`."""

    def join(first: NDArray[Any] | None, second: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if first is None or second is None else np.concatenate([first[:count], second])

    values = np.concatenate([before.values[:count], after.values])
    return WindowRows(
        values,
        join(before.log_probabilities, after.log_probabilities),
        join(before.entropies, after.entropies),
    )
