"""Ends the server when its client is gone without saying so."""

from __future__ import annotations

import asyncio
import logging
import os

logger = logging.getLogger(__name__)


async def watch_parent(process_id: int | None, closed: asyncio.Event, seconds: float = 10.0) -> None:
    """Set `closed` once the client's process is gone, looking every so many seconds.

    A process that is not there at the start is not watched: the client then lives in another process namespace.
    """
    if process_id is None or not is_alive(process_id):
        return
    while is_alive(process_id):
        await asyncio.sleep(seconds)
    logger.warning("the client's process %d is gone", process_id)
    closed.set()


def is_alive(process_id: int) -> bool:
    """Whether there is a process with this id."""
    if process_id <= 0:  # to `kill`, these are groups of processes
        return False
    try:
        os.kill(process_id, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
