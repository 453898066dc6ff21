"""Jobs for pools: each notes in a folder what it does and where."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from risk_lsp.errors import BadInput

Work = Callable[[int], Iterator[int]]


def note(folder: Path, name: str, words: str) -> None:
    """Append a line to a file that several processes share."""
    with (folder / name).open("a") as file:
        file.write(words + "\n")


def noted(folder: Path, name: str) -> list[str]:
    """The lines of such a file."""
    path = folder / name
    return path.read_text().splitlines() if path.exists() else []


@contextmanager
def squares(folder: Path) -> Iterator[Work]:
    """Gives the number and its square. Negative numbers are refused, and a million kills its process."""
    note(folder, "opened", str(os.getpid()))

    def work(number: int) -> Iterator[int]:
        if number < 0:
            raise BadInput(f"{number} is negative", "give another")
        if number == 1_000_000:
            os.kill(os.getpid(), signal.SIGKILL)
        note(folder, "done", str(number))
        yield number
        yield number * number

    try:
        yield work
    finally:
        note(folder, "closed", str(os.getpid()))


@contextmanager
def squares_of_two_machines(folder: Path) -> Iterator[Work]:
    """Gives squares. Each task waits until a process of a second machine has begun; after a minute it does not."""
    import ray

    note(folder, "machines", ray.get_runtime_context().get_node_id())

    def work(number: int) -> Iterator[int]:
        end = time.monotonic() + 60
        while len(noted(folder, "machines")) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        yield number * number

    yield work


def begun_on(folder: Path, machine: str) -> int:
    """How many tasks began on a machine."""
    return sum(line.startswith(machine) for line in noted(folder, "begun"))


@contextmanager
def squares_on_a_doomed_machine(folder: Path) -> Iterator[Work]:
    """Gives squares. The second task on the machine that the file `doomed` names never ends; others wait for it."""
    import ray

    machine = ray.get_runtime_context().get_node_id()
    (doomed,) = noted(folder, "doomed")
    here = 0

    def work(number: int) -> Iterator[int]:
        nonlocal here
        here += 1
        note(folder, "begun", f"{machine} {number}")
        while here == 2 if machine == doomed else begun_on(folder, doomed) < 2:
            time.sleep(0.1)
        yield number * number

    yield work
