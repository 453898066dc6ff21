"""How far a long command is, and when it will be done."""

from __future__ import annotations

import time
from typing import TextIO

_SECONDS_ON_A_TERMINAL = 0.2
_SECONDS_IN_A_LOG = 20.0


class Progress:
    """One line that is rewritten on a terminal, or a new line now and then anywhere else."""

    def __init__(self, stream: TextIO, things: str, total: int) -> None:
        self._stream = stream
        self._things = things
        self._total = total
        self._is_terminal = stream.isatty()
        self._started = self._shown = time.monotonic()

    def __call__(self, done: int) -> None:
        """Show that `done` things of this run are finished."""
        now = time.monotonic()
        wait = _SECONDS_ON_A_TERMINAL if self._is_terminal else _SECONDS_IN_A_LOG
        if now - self._shown < wait and done != self._total:
            return
        self._shown = now
        elapsed = now - self._started
        left = elapsed / max(done, 1) * (self._total - done)
        line = f"{done:,} of {self._total:,} {self._things}, {elapsed / max(done, 1):.2f} s each, {clock(left)} left"
        if self._is_terminal:
            self._stream.write(f"\r\x1b[K{line}" + ("\n" if done == self._total else ""))
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()


def clock(seconds: float) -> str:
    """Such as 1:05:09 for hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
