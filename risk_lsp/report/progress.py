"""How far a long command is: a bar or a few words on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

_SECONDS_IN_A_LOG = 20.0


@dataclass(frozen=True)
class ShownProgress:
    """`show` is called with how many things are done, `say` with a line of text that is to stay readable."""

    show: Callable[[int], None]
    say: Callable[[str], None]


@contextmanager
def shown_progress(stream: TextIO, things: str, total: int, already: int = 0) -> Iterator[ShownProgress]:
    """Show on `stream` how many of `total` things are done, and how long the others will take.

    `already` is how many an earlier run did: they say nothing about the time.
    """
    console = Console(file=stream)
    if console.is_terminal:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn(things), TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(things, total=total, completed=already)
            yield ShownProgress(lambda done: bar.update(task, completed=done), lambda text: console.print(Text(text)))
        return
    started = last = time.monotonic()

    def show(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _SECONDS_IN_A_LOG and done != total:
            return
        last = now
        each = (now - started) / max(done - already, 1)
        left = timedelta(seconds=round(each * (total - done)))
        say(f"{done:,} of {total:,} {things}, {each:.2f} s each, {left} left")

    def say(text: str) -> None:
        stream.write(f"{text}\n")
        stream.flush()

    yield ShownProgress(show, say)


@contextmanager
def shown_stage(stream: TextIO) -> Iterator[Callable[[str], None]]:
    """Show on a terminal what a command is at, in the words it is given; show nothing in a log."""
    with Console(file=stream).status("") as status:
        yield lambda words: status.update(Text(words))
