"""A pause in which nothing is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Snooze:
    """At most one pause at a time; `changed` is called when one begins, moves or ends."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._timer: asyncio.TimerHandle | None = None
        self.until: float | None = None  # seconds since the epoch

    @property
    def is_on(self) -> bool:
        """Whether nothing is to be shown now."""
        return self.until is not None

    def set(self, minutes: float) -> None:
        """Pause for so long from now on; 0 ends the pause."""
        self.cancel()
        if minutes > 0:
            self.until = time.time() + 60 * minutes
            self._timer = asyncio.get_running_loop().call_later(60 * minutes, self.set, 0.0)
        else:
            self.until = None
        self._changed()

    def cancel(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
