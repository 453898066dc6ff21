"""How numpy's work is spread over processor cores, and how work ends that nobody waits for any more."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from risk_lsp.errors import WorkerError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Threads:
    """Runs numpy's work on `count` cores: on one item by all of them, or on several items with one core each."""

    def __init__(self, count: int | None) -> None:
        self.count = count or available_cores()
        self._controller = ThreadpoolController()
        self._pool = ThreadPoolExecutor(self.count)

    def map(self, work: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        """`work` on each item, in order; one item has all threads for itself."""
        if len(items) == 1 or self.count == 1:
            with self._controller.limit(limits=self.count, user_api="blas"):
                return [work(item) for item in items]
        return self.map_alone(work, items)

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
