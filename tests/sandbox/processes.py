"""What is running, as the system tells it."""

from __future__ import annotations

import os
import select
from pathlib import Path


def descendants(ancestor: int | None = None) -> set[int]:
    """Pids of the processes below `ancestor` (this process by default) that have not ended."""
    parents = dict(filter(None, map(_pid_and_parent, Path("/proc").glob("[0-9]*"))))
    found = {ancestor or os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {ancestor or os.getpid()}


def wait_for_end(pid: int, seconds: float = 20.0) -> bool:
    """Whether the process ends, or has ended, within `seconds`."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def _pid_and_parent(folder: Path) -> tuple[int, int] | None:
    try:
        stat = (folder / "stat").read_text()
    except OSError:
        return None
    state, parent = stat.rpartition(")")[2].split()[:2]
    return None if state == "Z" else (int(folder.name), int(parent))
