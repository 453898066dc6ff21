"""Work that nobody waits for any more ends at the next place where it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from risk_lsp.errors import WorkerError

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
    """Called between two steps of long work. Raises WorkerError once nobody waits for it."""
    if _unwanted.get()():
        raise WorkerError("the request was cancelled", "ask again if it is still wanted")
