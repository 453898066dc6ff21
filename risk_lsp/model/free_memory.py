"""Memory that is no longer used goes back to the system, so that an editor that stays open for days does not swell."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache


def give_back_free_memory() -> None:
    """Return what was freed; where the platform has no way to ask for that, nothing happens.

    glibc keeps freed memory below the highest block in use: a small array that outlives a pass can hold the whole
    heap below it.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    # musl has none, and returns memory by itself.
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
