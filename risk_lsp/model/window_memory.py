"""What is remembered of the windows that a model read: their rows, and what tokens behind them go on from."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

_LARGEST_HALF = 60_000.0  # float16 ends at 65,504
_SHARE_FOR_MADE = 16
_RESUMABLE = 6  # windows whose keys and values are kept: those that were edited last


class Past(Protocol):
    """What a host keeps of tokens it ran, so that others can follow."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def first(self, tokens: int) -> Past:
        """That of the first `tokens` tokens, which can be gone on from by itself."""
        ...


@dataclass(frozen=True)
class WindowRows:
    """The kept rows of one window: values [kept, layers, width], and statistics float32[kept] if they were asked for.

    Values are float16 where they fit; what is computed and what is remembered are rounded alike, so that a result does
    not depend on what was read before.
    """

    values: NDArray[Any]
    log_probabilities: NDArray[np.float32] | None
    entropies: NDArray[np.float32] | None

    @property
    def size(self) -> int:
        """Bytes."""
        arrays = (self.values, self.log_probabilities, self.entropies)
        return sum(array.nbytes for array in arrays if array is not None)

    def some(self, rows: slice) -> WindowRows:
        """Those rows alone, which share their memory with these."""
        log_probabilities = None if self.log_probabilities is None else self.log_probabilities[rows]
        return WindowRows(
            self.values[rows], log_probabilities, None if self.entropies is None else self.entropies[rows]
        )


@dataclass(frozen=True)
class KnownWindow:
    """A window that was read: its tokens, and the rows of those from `keep` on."""

    token_ids: NDArray[np.int64]
    keep: int
    layers: tuple[int, ...]
    rows: WindowRows

    @property
    def size(self) -> int:
        """Bytes."""
        return self.token_ids.nbytes + self.rows.size

    def first_rows(self, token_ids: NDArray[np.int64], keep: int) -> WindowRows | None:
        """Rows of the tokens from `keep` on of another window, as far as both have the same tokens up to there."""
        end = _equal_first(self.token_ids, token_ids)
        return self.rows.some(slice(keep - self.keep, end - self.keep)) if self.keep <= keep < end else None

    def last_rows(self, token_ids: NDArray[np.int64]) -> WindowRows | None:
        """Rows of as many last tokens as another window ends with, whatever stands before them there."""
        count = min(len(self.rows.values), _equal_first(self.token_ids[::-1], token_ids[::-1]))
        return self.rows.some(slice(len(self.rows.values) - count, None)) if count else None


@dataclass(frozen=True)
class Resumable:
    """Tokens that others can follow: what its blocks keep of them, rows of those from `keep` on, normalised outputs."""

    token_ids: NDArray[np.int64]
    keep: int
    layers: tuple[int, ...]
    past: Past
    rows: WindowRows
    final: Any  # as Run has it

    @property
    def size(self) -> int:
        """Bytes."""
        return self.past.size + self.rows.size + (0 if self.final is None else int(self.final.nbytes))


def _equal_first(first: NDArray[np.int64], second: NDArray[np.int64]) -> int:
    """How many tokens both begin with."""
    length = min(len(first), len(second))
    differ = np.flatnonzero(first[:length] != second[:length])
    return int(differ[0]) if len(differ) else length


class WindowMemory:
    """Windows that were read, the last edited ones to go on from, and what others make of rows, by keys of theirs:
    together at most `most_bytes`, of which what is made takes a sixteenth at most.

    The window edited last is kept before anything else, those edited before it where they leave half of the room to the
    rows; of rows, those that were not asked for the longest go first.

    Not for use from two threads at once.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._rows_bytes = 0
        self.tokens_run = 0  # by the model, as long as this memory is used
        self._windows: OrderedDict[bytes, KnownWindow] = OrderedDict()
        self._resumable: deque[Resumable] = deque(maxlen=_RESUMABLE)
        self._made: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._made_bytes = 0

    def recall(self, key: bytes) -> WindowRows | None:
        """The rows of that window if they are still known."""
        window = self._windows.get(key)
        if window is None:
            return None
        self._windows.move_to_end(key)
        return window.rows

    def remember(self, key: bytes, window: KnownWindow) -> None:
        """Keep a window."""
        if key in self._windows:
            return
        self._windows[key] = window
        self._rows_bytes += window.size
        self._forget()

    def similar(self, token_ids: NDArray[np.int64], layers: tuple[int, ...], *, statistics: bool) -> KnownWindow | None:
        """The window that shares the most first and last tokens with this one; None if none shares any."""
        most, found = 0, None
        for window in self._windows.values():
            if window.layers == layers and (window.rows.entropies is not None) == statistics:
                last = _equal_first(window.token_ids[::-1], token_ids[::-1])
                shared = _equal_first(window.token_ids, token_ids) + last
                most, found = (shared, window) if shared > most else (most, found)
        return found

    def resumable(
        self, token_ids: NDArray[np.int64], keep: int, layers: tuple[int, ...], *, statistics: bool
    ) -> tuple[Resumable, int] | None:
        """The window that shares the most first tokens with this one, and how many; None if none shares any."""
        found = [
            (window, _equal_first(window.token_ids, token_ids))
            for window in self._resumable
            if window.keep == keep and window.layers == layers and (window.final is not None) == statistics
        ]
        best = max(found, key=lambda each: each[1], default=None)
        return best if best is not None and best[1] > 0 else None

    def offer(self, window: Resumable, instead_of: Resumable | None) -> None:
        """Keep a window that later ones can continue from, in the place of the one that it continued itself."""
        if instead_of is not None:
            self._resumable = deque(
                (each for each in self._resumable if each is not instead_of), maxlen=self._resumable.maxlen
            )
        self._resumable.append(window)
        self._forget()

    def recall_made(self, key: Hashable) -> Any | None:
        """What was made of rows, if it is still known."""
        found = self._made.get(key)
        if found is None:
            return None
        self._made.move_to_end(key)
        return found[0]

    def remember_made(self, key: Hashable, made: Any, size: int) -> None:
        """Keep what was made of rows: `size` bytes, with its key."""
        self._made_bytes += size - self._made.pop(key, (None, 0))[1]
        self._made[key] = made, size
        while self._made and _SHARE_FOR_MADE * self._made_bytes > self._most_bytes:
            self._made_bytes -= self._made.popitem(last=False)[1][1]
        self._forget()

    @property
    def size(self) -> int:
        """Bytes, those that a window and its rows share counted twice."""
        return self._rows_bytes + self._resumable_bytes() + self._made_bytes

    def _forget(self) -> None:
        while len(self._resumable) > 1 and 2 * self._resumable_bytes() > self._most_bytes:
            self._resumable.popleft()
        if self._resumable_bytes() > self._most_bytes:
            self._resumable.clear()
        while self._made and self._resumable_bytes() + self._made_bytes > self._most_bytes:
            self._made_bytes -= self._made.popitem(last=False)[1][1]
        while self._windows and self.size > self._most_bytes:
            self._rows_bytes -= self._windows.popitem(last=False)[1].size

    def _resumable_bytes(self) -> int:
        return sum(each.size for each in self._resumable)


def round_to_half(values: NDArray[np.float32]) -> NDArray[Any]:
    """In float16, unless a value does not fit."""
    fits = values.size == 0 or float(np.abs(values).max()) < _LARGEST_HALF
    return values.astype(np.float16) if fits else values
