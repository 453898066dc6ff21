"""Work on the cores that are free, as long as somebody waits for the result."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from risk_lsp.errors import WorkerError

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
