"""Cuts a long text into overlapping windows, and reads these on several cores, with a memory of earlier ones.

The rows of a known window are recalled. Of an edited window only the tokens behind its unchanged beginning are run. It
ends between two windows once nobody waits for the result.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from risk_lsp.errors import WorkerError
from risk_lsp.model.activations import Past, Resumable, WindowMemory, WindowRows, rounded, window_key
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


_LOOKED_AT = 12  # tokens from a boundary on that decide whether a text is cut there


class Window(NamedTuple):
    """Run the tokens [start, end) and keep the rows of [keep, end); indices into the whole text's tokens."""

    start: int
    keep: int
    end: int


class Shares(NamedTuple):
    """How windows divide the context, in shares of it: left context from least to most, kept tokens from least to most.

    Less left context makes an edit of a long text cheaper.
    """

    left_least: float = 1 / 4
    left_most: float = 3 / 8
    kept_least: float = 1 / 4
    kept_most: float = 5 / 8


def plan_windows(
    token_ids: NDArray[Any], context: int, boundaries: Sequence[int] = (), shares: Shares | None = None
) -> list[Window]:
    """Windows of at most `context` tokens that keep every token exactly once, in order.

    Every kept token has at least `left_least` of the context to its left within its window, wherever the text has that
    many. `boundaries` are the sorted token indices at which statements start: windows keep from one of them, and start
    at one of them, where that leaves enough to keep and enough left context.

    Where a text is cut depends on what stands there (content-defined chunking), not on how far from its beginning that
    is: an edit moves the cuts near it, and the windows further down hold what they held before.
    """
    count = len(token_ids)
    if context < 1:
        raise ValueError(f"cannot plan windows for {count} tokens in a context of {context}")
    if count == 0:
        return []
    if count <= context:
        return [Window(0, 0, count)]
    left_least, left_most, kept_least, kept_most = (int(context * share) for share in shares or Shares())
    kept_least, kept_most = max(1, kept_least), max(1, kept_most)
    windows = [Window(0, 0, _cut(token_ids, max(1, context // 2), context, boundaries))]
    while (keep := windows[-1].end) < count:
        end = count if count - keep <= kept_most else _cut(token_ids, keep + kept_least, keep + kept_most, boundaries)
        # The first boundary that leaves enough left context, else as much of that as there may be.
        start = max(0, keep - left_most)
        index = bisect_left(boundaries, start)
        if index < len(boundaries) and boundaries[index] <= keep - left_least:
            start = boundaries[index]
        windows.append(Window(start, keep, end))
    return windows


def _cut(token_ids: NDArray[Any], first: int, last: int, boundaries: Sequence[int]) -> int:
    """The boundary in [first, last] whose text has the lowest checksum; `last` where there is none."""
    near = boundaries[bisect_left(boundaries, first) : bisect_right(boundaries, last)]
    return min(
        near,
        key=lambda place: (
            crc32(np.ascontiguousarray(token_ids[place : place + _LOOKED_AT], dtype="<i4").tobytes()),
            place,
        ),
        default=last,
    )


_AT_ONCE = 4  # windows of one run: enough to keep all cores busy
_FEW = 4  # windows of which keys and values are worth keeping: an edit touches no more

PartCallback = Callable[[Sequence["WindowRows | None"]], None]


class ResumableHost(Host, Protocol):
    """A host that can continue an earlier run with further tokens, if the model allows it."""

    can_go_on: bool  # whether `extend` may follow tokens that were run before

    def new_past(self) -> Past:
        """Room for the keys and values of a run that starts at the first token."""
        ...

    def extend(self, token_ids: NDArray[Any], past: Any, layers: Sequence[int], *, to_end: bool) -> Run:
        """Run the tokens that follow `past`, which this host made and which grows by them."""
        ...

    def begin_behind(self, token_ids: NDArray[Any], past: Any, layers: Sequence[int]) -> Decoding:
        """As `extend` to the end, such that more can follow. `past` grows by these tokens alone."""
        ...

    def joined(self, first: Any, second: Any) -> Any:
        """The rows of `final` of two runs, one after the other, as those of one run."""
        ...


class WindowReader:
    """Reads rows of windows from a host, at the same layers each time."""

    def __init__(self, host: Host, memory: WindowMemory, layers: tuple[int, ...], *, statistics: bool) -> None:
        self._host = host
        self._memory = memory
        self._layers = layers
        self._statistics = statistics

    def read(
        self, windows: Sequence[tuple[NDArray[np.int64], int]], first: int = 0, on_part: PartCallback = lambda _: None
    ) -> list[WindowRows]:
        """The kept rows of windows, each given as its tokens and the index of the first that is kept.

        Window `first` and those around it are read first. Where many have to be run, `on_part` sees what is known when
        the first of them were, and each time that twice as many were: few times, however long the text.
        """
        keys = [window_key(tokens, keep, self._layers, statistics=self._statistics) for tokens, keep in windows]
        found = [self._memory.recall(key) for key in keys]
        missing = [index for index, rows in enumerate(found) if rows is None]
        missing.sort(key=lambda index: abs(index - first))
        ran, due = 0, _AT_ONCE
        resumable = self._resumable()
        few = resumable is not None and len(missing) <= _FEW
        size = 1 if few else _AT_ONCE
        for place in range(0, len(missing), size):
            stop_if_unwanted()
            part = missing[place : place + size]
            wanted = [windows[index] for index in part]
            if few and resumable:
                fresh = [self._gone_on(resumable, *wanted[0])]
            else:
                self._memory.tokens_run += sum(len(tokens) for tokens, _ in wanted)
                runs = self._host.run([tokens for tokens, _ in wanted], self._layers, to_end=self._statistics)
                both = zip(runs, wanted, strict=True)
                fresh = [self._rows(run.residuals, run.final, tokens, keep, 0) for run, (tokens, keep) in both]
            for index, rows in zip(part, fresh, strict=True):
                found[index] = rows
                # At once, so that what was done before a cancellation need not be done again.
                self._memory.remember(keys[index], rows)
            ran += len(part)
            if ran >= due and len(missing) - ran >= _AT_ONCE:
                due = 2 * ran
                on_part(found)
        return [rows for rows in found if rows is not None]

    def _resumable(self) -> ResumableHost | None:
        """The host if it can continue earlier runs of these layers; None if it cannot, or no block has to run."""
        host: Any = self._host
        return (
            host
            if getattr(host, "can_go_on", False) and (self._statistics or max(self._layers, default=0) > 0)
            else None
        )

    def _gone_on(self, host: ResumableHost, tokens: NDArray[np.int64], keep: int) -> WindowRows:
        """The rows of a window; of its tokens only those are run that an earlier window does not share from its start
        on.
        """
        known = self._memory.resumable(tokens, keep, self._layers, statistics=self._statistics)
        before, shared = known if known is not None else (None, 0)
        # At least one token is run, or there would be nothing to keep.
        shared = min(shared, len(tokens) - 1)
        past = host.new_past() if before is None else before.past.first(shared)
        self._memory.tokens_run += len(tokens) - shared
        run = host.extend(tokens[shared:], past, self._layers, to_end=self._statistics)
        final = run.final
        if before is not None and before.final is not None:
            final = host.joined(before.final[:shared], run.final)
        rows = self._rows(run.residuals, final, tokens, keep, shared)
        if before is not None and shared > keep:
            rows = _joined(before.rows, rows, shared - keep)
        self._memory.offer(Resumable(tokens, keep, self._layers, past, rows, final), before)
        return rows

    def _rows(
        self, residuals: dict[int, NDArray[Any]], final: Any, tokens: NDArray[np.int64], keep: int, ran_from: int
    ) -> WindowRows:
        """Rows of the tokens from `keep` on, without those before `ran_from`, the token that `residuals` begin with."""
        first = max(keep, ran_from)
        values = np.empty((len(tokens) - first, len(self._layers), self._host.width), dtype=np.float32)
        for column, layer in enumerate(self._layers):
            values[:, column] = residuals[layer][first - ran_from :]
        if not self._statistics:
            return WindowRows(rounded(values), None, None)
        log_probabilities, entropies = kept_statistics(self._host, final, tokens, first)
        return WindowRows(rounded(values), log_probabilities, entropies)


def kept_statistics(
    host: Host, final: Any, tokens: NDArray[np.int64], first: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Log-probabilities and entropies in nats of tokens[first:], float32 each; 0 for a token that nothing precedes."""
    predicted = max(first, 1)
    nothing = np.zeros(predicted - first, dtype=np.float32)
    log_probabilities, entropies = host.statistics(final[predicted - 1 : len(tokens) - 1], tokens[predicted:])
    return np.concatenate([nothing, log_probabilities]), np.concatenate([nothing, entropies])


def _joined(before: WindowRows, after: WindowRows, count: int) -> WindowRows:
    """The first `count` rows of `before`, then all rows of `after`."""

    def joined(first: NDArray[Any] | None, second: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if first is None or second is None else np.concatenate([first[:count], second])

    values = np.concatenate([before.values[:count], after.values])
    return WindowRows(
        values,
        joined(before.log_probabilities, after.log_probabilities),
        joined(before.entropies, after.entropies),
    )
