"""How far a long command is: a bar or a few words on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from risk_lsp.report.wording import printable

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


class Reading:
    """Says on a stream which files a model reads, and how far it is with them."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._what = "files"

    def begin(self, paths: Sequence[Path], before: int, of: int) -> None:
        """The model reads these files now; it is done with `before` of all."""
        if paths:
            names = printable(paths[0].name) + (f" and {len(paths) - 1:,} more" if len(paths) > 1 else "")
            self._what = f"{names}, file {before + 1:,} of {of:,}"
            self.ran(0, 0)

    def ran(self, done: int, of: int) -> None:
        """It has read `done` tokens of these files, of those that are known to be in them."""
        self._say(f"reading {self._what}" + (f": {done:,} of {of:,} tokens" if of else ""))


@contextmanager
def shown_reading(stream: TextIO) -> Iterator[Reading]:
    """Show on a terminal what is read, as long as it is; in a log, say so every twenty seconds."""
    if Console(file=stream).is_terminal:
        with shown_stage(stream) as say:
            yield Reading(say)
        return
    last = time.monotonic()

    def write(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_IN_A_LOG:
            last = time.monotonic()
            stream.write(f"{text}\n")
            stream.flush()

    yield Reading(write)


@contextmanager
def shown_stage(stream: TextIO) -> Iterator[Callable[[str], None]]:
    """Show on a terminal what a command is at, in the words it is given; show nothing in a log."""
    with Console(file=stream).status("") as status:
        yield lambda words: status.update(Text(words))
