"""Cuts a text into windows, and reads these with a memory of those of its earlier versions.

The rows of a known window are recalled. Only the tokens behind the unchanged beginning of an edited window are run.
Reading ends between two windows once nobody waits for the result.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from risk_lsp.model.cores import stop_if_unwanted
from risk_lsp.model.host import Decoding, Host, Run
from risk_lsp.model.window_memory import KnownWindow, Past, Resumable, WindowMemory, WindowRows, round_to_half

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
        # The first boundary that leaves enough left context, else as much of that as there may be.
        start = max(0, keep - left_most)
        index = bisect_left(boundaries, start)
        if index < len(boundaries) and boundaries[index] <= keep - left_least:
            start = boundaries[index]
        windows.append(Window(start, keep, end))
    return windows


def _cut(token_ids: NDArray[Any], first: int, last: int, boundaries: Sequence[int]) -> int:
    """The boundary in [first, last] whose text has the lowest checksum; `last` where there is none."""
    near = boundaries[bisect_left(boundaries, first) : bisect_right(boundaries, last)]
    return min(
        near,
        key=lambda place: (
            crc32(np.ascontiguousarray(token_ids[place : place + _LOOKED_AT], dtype="<i4").tobytes()),
            place,
        ),
        default=last,
    )


_STEP = 256  # tokens of a window that takes long
_FEW_TOKENS = 64  # which are not worth a step of their own
_FEW = 4  # windows of which keys and values are worth keeping: an edit touches no more


class ResumableHost(Host, Protocol):
    """A host that can continue an earlier run with further tokens, if the model allows it."""

    can_go_on: bool  # whether `extend` may follow tokens that were run before

    def new_past(self) -> Past:
        """Room for the keys and values of a run that starts at the first token."""
        ...

    def extend(
        self, sequences: Sequence[NDArray[Any]], pasts: Sequence[Any], layers: Sequence[int], *, to_end: bool
    ) -> list[Run]:
        """Run tokens that follow pasts, several texts together: int64[tokens] each, at least one. Each past, which
        this host made, grows by its tokens.
        """
        ...

    def begin_behind(self, token_ids: NDArray[Any], past: Any, layers: Sequence[int]) -> Decoding:
        """As `extend` to the end, such that more can follow. `past` grows by these tokens alone."""
        ...

    def join(self, first: Any, second: Any) -> Any:
        """The rows of `final` of two runs, one after the other, as those of one run."""
        ...


class WindowReading:
    """The windows of one text, each given as its tokens and the index of the first that is kept, as a host reads them.

    `rows` has those of the first tokens that each window keeps: of all once it is read, of those that an edit left as
    they were before that, None where there are none. `outdated` has rows of the last tokens of windows that are not
    read yet, as they were when something else stood before them; None where there are none.

    Window `first` and those around it are read first, and of a few that an edit touched its tokens before `until`.
    """

    def __init__(
        self,
        host: Host,
        memory: WindowMemory,
        layers: tuple[int, ...],
        windows: Sequence[tuple[NDArray[np.int64], int]],
        *,
        statistics: bool,
        first: int = 0,
        until: int = 0,
    ) -> None:
        self._host = host
        self._memory = memory
        self._layers = layers
        self.statistics = statistics
        self._windows = windows
        self._first, self._until = first, until
        self.keys = [
            blake2b(repr((keep, layers, statistics)).encode() + tokens.tobytes(), digest_size=16).digest()
            for tokens, keep in windows
        ]
        self.rows = [memory.recall(key) for key in self.keys]
        self.outdated: list[WindowRows | None] = [None] * len(windows)
        self._missing = [index for index, rows in enumerate(self.rows) if rows is None]
        self._missing.sort(key=lambda index: abs(index - first))
        self._are_few = len(self._missing) <= _FEW
        self._begun: Resumable | None = None  # of window _missing[0], where it is read in steps
        # Without a block to run, there is nothing to go on from.
        self._goes_on = (statistics or max(layers, default=0) > 0) and bool(getattr(host, "can_go_on", False))
        self._at_once = host.windows_at_once
        self._is_edited = False  # window `first`: most of it is known from an earlier version
        for index in self._missing if self._are_few else ():
            tokens, keep = windows[index]
            before = memory.similar(tokens, layers, statistics=statistics)
            if before is not None:
                self.rows[index], self.outdated[index] = before.first_rows(tokens, keep), before.last_rows(tokens)
                known = sum(len(rows.values) for rows in (self.rows[index], self.outdated[index]) if rows is not None)
                self._is_edited |= index == first and known > (len(tokens) - keep) / 2

    def is_read(self, index: int) -> bool:
        """Whether all rows of a window are known."""
        return index not in self._missing

    @property
    def tokens_left(self) -> int:
        """How many tokens the host has to run."""
        return sum(len(self._windows[index][0]) - self._find_past(index)[1] for index in self._missing)

    def read(self, on_part: Callable[[], None] = lambda: None) -> None:
        """Read what is missing.

        Where much has to be run, `on_part` is called when the first windows were, and each time that twice as many
        were: few times, however long the text. Where one window takes long, it is called as well when the tokens before
        `until` were run.
        """
        ran, due = 0, self._at_once
        while self._missing:
            read = self._read_next([self])
            ran += read
            if self._begun is not None and len(self._begun.token_ids) == self._until:
                on_part()
            elif read and ran >= due and len(self._missing) >= self._at_once:
                due = 2 * ran
                on_part()

    @staticmethod
    def read_together(readings: Sequence[WindowReading]) -> None:
        """Read what several texts miss, at the same layers of the same host, each into its own memory."""
        while left := [each for each in readings if each._missing]:
            WindowReading._read_next(left)

    @staticmethod
    def _read_next(readings: Sequence[WindowReading]) -> int:
        """Run the host once for the next missing windows of each text; returns how many windows were read to their end.

        Of a text that goes on from what is kept of it, it is at most one.
        """
        stop_if_unwanted()
        behind, alone = [], []
        for each in readings:
            if each._is_resumed(each._missing[0]):
                behind.append((each, each._missing[0], *each._find_past(each._missing[0])))
            else:
                alone += [(each, index) for index in each._missing[: each._at_once]]
        host: Any = readings[0]._host
        layers, to_end = readings[0]._layers, readings[0].statistics
        read = len(alone)
        if behind:
            pasts = [
                host.new_past() if before is None else before.past.first(shared) for _, _, before, shared in behind
            ]
            ends = [each._end_of_step(index, shared) for each, index, _, shared in behind]
            tokens = [
                each._windows[index][0][shared:end] for (each, index, _, shared), end in zip(behind, ends, strict=True)
            ]
            runs = host.extend(tokens, pasts, layers, to_end=to_end)
            for (each, index, before, shared), end, past, run in zip(behind, ends, pasts, runs, strict=True):
                each._go_on(index, before, shared, end, past, run)
                read += each.is_read(index)
        if alone:
            runs = host.run([each._windows[index][0] for each, index in alone], layers, to_end=to_end)
            for (each, index), run in zip(alone, runs, strict=True):
                window, keep = each._windows[index]
                each._memory.tokens_run += len(window)
                each._keep(index, each._rows(run.residuals, run.final, window, keep, 0))
        return read

    def _is_resumed(self, index: int) -> bool:
        """Whether keys and values of a window are kept: those of few windows, and of the one that is edited next."""
        return self._goes_on and (self._are_few or (self._at_once == 1 and index == self._first))

    def _find_past(self, index: int) -> tuple[Resumable | None, int]:
        """What shares the most first tokens with a window, and how many of these need no run."""
        if not self._is_resumed(index):
            return None, 0
        if self._begun is not None and index == self._missing[0]:
            return self._begun, len(self._begun.token_ids)
        tokens, keep = self._windows[index]
        known = self._memory.resumable(tokens, keep, self._layers, statistics=self.statistics)
        # At least one token is run, or there would be nothing to keep.
        return (None, 0) if known is None else (known[0], min(known[1], len(tokens) - 1))

    def _end_of_step(self, index: int, shared: int) -> int:
        """Up to where a window, of which `shared` tokens are known, is run next.

        Where one window takes long, that is in steps: what was done before a cancellation need not be done again.
        """
        end = len(self._windows[index][0])
        if self._at_once > 1:
            return end
        if index == self._first and self._is_edited and shared < self._until < end - _FEW_TOKENS:
            end = self._until
        return min(end, shared + _STEP)

    def _go_on(self, index: int, before: Resumable | None, shared: int, end: int, past: Past, run: Run) -> None:
        """Keep rows of the first `end` tokens of a window, of which `shared` were known, and these to go on from."""
        tokens, keep = self._windows[index]
        host: Any = self._host
        final = run.final
        if before is not None and before.final is not None:
            final = host.join(before.final[:shared], run.final)
        rows = self._rows(run.residuals, final, tokens[:end], keep, shared)
        if before is not None and shared > keep:
            rows = _join_rows(before.rows, rows, shared - keep)
        self._memory.tokens_run += end - shared
        window = Resumable(tokens[:end], keep, self._layers, past, rows, final)
        self._memory.offer(window, before)
        self._begun = window if end < len(tokens) else None
        if end == len(tokens):
            self._keep(index, rows)
            return
        known = self.rows[index]
        if end > keep and (known is None or len(known.values) < len(rows.values)):
            self.rows[index] = rows

    def _keep(self, index: int, rows: WindowRows) -> None:
        self.rows[index], self.outdated[index] = rows, None
        self._missing.remove(index)
        tokens, keep = self._windows[index]
        # At once, so that what was done before a cancellation need not be done again.
        self._memory.remember(self.keys[index], KnownWindow(tokens, keep, self._layers, rows))

    def _rows(
        self, residuals: dict[int, NDArray[Any]], final: Any, tokens: NDArray[np.int64], keep: int, ran_from: int
    ) -> WindowRows:
        """Rows of the tokens from `keep` on, without those before `ran_from`, the token that `residuals` begin with."""
        first = min(max(keep, ran_from), len(tokens))
        values = np.empty((len(tokens) - first, len(self._layers), self._host.width), dtype=np.float32)
        for column, layer in enumerate(self._layers):
            values[:, column] = residuals[layer][first - ran_from :]
        if not self.statistics:
            return WindowRows(round_to_half(values), None, None)
        log_probabilities, entropies = kept_statistics(self._host, final, tokens, first)
        return WindowRows(round_to_half(values), log_probabilities, entropies)


def kept_statistics(
    host: Host, final: Any, tokens: NDArray[np.int64], first: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Log-probabilities and entropies in nats of tokens[first:], float32 each; 0 for a token that nothing precedes."""
    predicted = max(first, 1)
    nothing = np.zeros(predicted - first, dtype=np.float32)
    log_probabilities, entropies = host.statistics(final[predicted - 1 : len(tokens) - 1], tokens[predicted:])
    return np.concatenate([nothing, log_probabilities]), np.concatenate([nothing, entropies])


def _join_rows(before: WindowRows, after: WindowRows, count: int) -> WindowRows:
    """The first `count` rows of `before`, then all rows of `after`."""

    def join(first: NDArray[Any] | None, second: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if first is None or second is None else np.concatenate([first[:count], second])

    values = np.concatenate([before.values[:count], after.values])
    return WindowRows(
        values,
        join(before.log_probabilities, after.log_probabilities),
        join(before.entropies, after.entropies),
    )
