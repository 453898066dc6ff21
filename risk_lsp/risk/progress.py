"""How far a long command is, on stderr."""

from __future__ import annotations

import time
from typing import TextIO

_SECONDS_ON_A_TERMINAL = 0.1
_SECONDS_IN_A_LOG = 10.0


class Progress:
    """One line that is rewritten on a terminal, or a new line now and then anywhere else."""

    def __init__(self, stream: TextIO, things: str, total: int) -> None:
        self._stream = stream
        self._things = things
        self._total = total
        self._is_terminal = stream.isatty()
        self._started = self._shown = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int) -> None:
        """Show that `done` things are finished; the first call counts what was finished before the start."""
        if self._first is None:
            self._first = done
        now = time.monotonic()
        wait = _SECONDS_ON_A_TERMINAL if self._is_terminal else _SECONDS_IN_A_LOG
        if now - self._shown >= wait or done == self._total:
            self._shown = now
            self._show(done, (done - self._first) / max(now - self._started, 1e-3))

    def _show(self, done: int, rate: float) -> None:
        line = f"{done:,} of {self._total:,} {self._things}, {rate:,.1f} a second"
        if self._is_terminal:
            end = "\n" if done == self._total else ""
            self._stream.write(f"\r\x1b[K{line}{end}")
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()
