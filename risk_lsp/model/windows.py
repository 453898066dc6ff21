"""Cuts a text that is longer than a model's context into overlapping windows, and remembers what each window gave."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

_LOOKED_AT = 12  # tokens from a boundary on that decide whether a text is cut there


class Window(NamedTuple):
    """Run the tokens [start, end) and keep the rows of [keep, end); indices into the whole text's tokens."""

    start: int
    keep: int
    end: int


class Shares(NamedTuple):
    """How windows divide the context, in shares of it: left context from least to most, kept tokens from least to most.

    Less left context makes an edit of a long text cheaper.
    """

    left_least: float = 1 / 4
    left_most: float = 3 / 8
    kept_least: float = 1 / 4
    kept_most: float = 5 / 8


def plan_windows(
    token_ids: NDArray[Any], context: int, boundaries: Sequence[int] = (), shares: Shares | None = None
) -> list[Window]:
    """Windows of at most `context` tokens that keep every token exactly once, in order.

    Every kept token has at least `left_least` of the context to its left within its window, wherever the text has that
    many. `boundaries` are the sorted token indices at which statements start: windows keep from one of them, and start
    at one of them, where that leaves enough to keep and enough left context.

    Where a text is cut depends on what stands there (content-defined chunking), not on how far from its beginning that
    is: an edit moves the cuts near it, and the windows further down hold what they held before.
    """
    count = len(token_ids)
    if context < 1:
        raise ValueError(f"cannot plan windows for {count} tokens in a context of {context}")
    if count == 0:
        return []
    if count <= context:
        return [Window(0, 0, count)]
    left_least, left_most, kept_least, kept_most = (int(context * share) for share in shares or Shares())
    kept_least, kept_most = max(1, kept_least), max(1, kept_most)
    windows = [Window(0, 0, _cut(token_ids, max(1, context // 2), context, boundaries))]
    while (keep := windows[-1].end) < count:
        end = count if count - keep <= kept_most else _cut(token_ids, keep + kept_least, keep + kept_most, boundaries)
        windows.append(Window(_start(keep - left_most, keep - left_least, boundaries), keep, end))
    return windows


def _cut(token_ids: NDArray[Any], first: int, last: int, boundaries: Sequence[int]) -> int:
    """The boundary in [first, last] whose text has the lowest checksum; `last` where there is none."""
    near = boundaries[bisect_left(boundaries, first) : bisect_right(boundaries, last)]
    return min(near, key=lambda place: (_checksum(token_ids, place), place), default=last)


def _checksum(token_ids: NDArray[Any], place: int) -> int:
    return crc32(np.ascontiguousarray(token_ids[place : place + _LOOKED_AT], dtype="<i4").tobytes())


def _start(earliest: int, latest: int, boundaries: Sequence[int]) -> int:
    """The first boundary in [earliest, latest], from the text's first token on; `earliest` where there is none."""
    earliest = max(0, earliest)
    index = bisect_left(boundaries, earliest)
    return boundaries[index] if index < len(boundaries) and boundaries[index] <= latest else earliest


_LARGEST_HALF = 60_000.0  # float16 ends at 65,504
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


@dataclass(frozen=True)
class Resumable:
    """A window that other tokens can follow: its tokens, what its blocks keep of them, rows, and normalised outputs."""

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

    def shared_with(self, token_ids: NDArray[np.int64]) -> int:
        """How many tokens both begin with."""
        length = min(len(self.token_ids), len(token_ids))
        differ = np.flatnonzero(self.token_ids[:length] != token_ids[:length])
        return int(differ[0]) if len(differ) else length


class WindowMemory:
    """Rows of windows by their tokens, and the last edited windows to go on from: together at most `most_bytes`.

    The window edited last is kept before anything else, those edited before it where they leave half of the room to the
    rows; of rows, those that were not asked for the longest go first.

    Not for use from two threads at once.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._rows_bytes = 0
        self.tokens_run = 0  # by the model, as long as this memory is used
        self._rows: OrderedDict[bytes, WindowRows] = OrderedDict()
        self._resumable: deque[Resumable] = deque(maxlen=_RESUMABLE)

    def recall(self, key: bytes) -> WindowRows | None:
        """The rows of that window if they are still known."""
        rows = self._rows.get(key)
        if rows is not None:
            self._rows.move_to_end(key)
        return rows

    def remember(self, key: bytes, rows: WindowRows) -> None:
        """Keep the rows of a window."""
        if key in self._rows:
            return
        self._rows[key] = rows
        self._rows_bytes += rows.size
        self._forget()

    def resumable(
        self, token_ids: NDArray[np.int64], keep: int, layers: tuple[int, ...], *, statistics: bool
    ) -> tuple[Resumable, int] | None:
        """The window that shares the most first tokens with this one, and how many; None if none shares any."""
        found = [
            (window, window.shared_with(token_ids))
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

    @property
    def size(self) -> int:
        """Bytes, those that a window and its rows share counted twice."""
        return self._rows_bytes + self._resumable_bytes()

    def _forget(self) -> None:
        while len(self._resumable) > 1 and 2 * self._resumable_bytes() > self._most_bytes:
            self._resumable.popleft()
        if self._resumable_bytes() > self._most_bytes:
            self._resumable.clear()
        while self._rows and self.size > self._most_bytes:
            self._rows_bytes -= self._rows.popitem(last=False)[1].size

    def _resumable_bytes(self) -> int:
        return sum(each.size for each in self._resumable)


def window_key(token_ids: NDArray[np.int64], keep: int, layers: tuple[int, ...], *, statistics: bool) -> bytes:
    """What identifies the rows of a window."""
    return blake2b(repr((keep, layers, statistics)).encode() + token_ids.tobytes(), digest_size=16).digest()


def rounded(values: NDArray[np.float32]) -> NDArray[Any]:
    """In float16, unless a value does not fit."""
    fits = values.size == 0 or float(np.abs(values).max()) < _LARGEST_HALF
    return values.astype(np.float16) if fits else values
