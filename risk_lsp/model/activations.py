"""A text as tokens, what a code model gives for each of them, and what is remembered of earlier versions of it."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Encoding:
    """Token ids and character spans of one text, without special tokens.

    `token_ids`, `starts` and `ends` are int32[n]. Token i stands for the characters [starts[i], ends[i]) of the
    original text (code points). Tokens that share one character carry the same span. Starts and ends never decrease,
    and every character of the text belongs to at least one token.
    """

    token_ids: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.token_ids)

    def some(self, tokens: NDArray[np.integer]) -> Encoding:
        """Those tokens alone, given by rising indices: the one encoding in which characters may lack a token."""
        return Encoding(self.token_ids[tokens], self.starts[tokens], self.ends[tokens])

    def tokens_at(self, offsets: Sequence[int] | NDArray[np.integer]) -> NDArray[np.int64]:
        """For each character offset, the index of the first token that reaches past it (n at the end of the text)."""
        return np.searchsorted(self.ends, np.asarray(offsets, dtype=np.int64), side="right").astype(np.int64)


@dataclass(frozen=True, eq=False)
class Activations:
    """The residual stream at the tapped layers, and on request the model's own uncertainty, per token.

    `values` is float32[n, len(layers), width]; layer k is the residual stream after k decoder blocks (0: the input of
    the first block), before any final norm. `log_probabilities[i]` is log p(token i | the tokens before it) and
    `entropies[i]` the entropy of that same distribution, both float32[n] in nats, or None when not asked for. The
    first token of a text has 0.0 in both if the model has nothing before it (no beginning-of-text token).
    """

    encoding: Encoding
    layers: tuple[int, ...]
    values: NDArray[np.float32]
    log_probabilities: NDArray[np.float32] | None = None
    entropies: NDArray[np.float32] | None = None

    def some(self, tokens: NDArray[np.integer]) -> Activations:
        """Those tokens alone, given by rising indices, in arrays of their own."""
        log_probabilities = None if self.log_probabilities is None else self.log_probabilities[tokens]
        entropies = None if self.entropies is None else self.entropies[tokens]
        return Activations(self.encoding.some(tokens), self.layers, self.values[tokens], log_probabilities, entropies)

    @classmethod
    def joined(cls, parts: Sequence[Activations]) -> Activations:
        """The tokens of stretches of one text, in order, at the same layers and all with statistics or all without."""
        encodings = [part.encoding for part in parts]
        encoding = Encoding(
            np.concatenate([each.token_ids for each in encodings]),
            np.concatenate([each.starts for each in encodings]),
            np.concatenate([each.ends for each in encodings]),
        )
        log_probabilities = [part.log_probabilities for part in parts if part.log_probabilities is not None]
        entropies = [part.entropies for part in parts if part.entropies is not None]
        return cls(
            encoding,
            parts[0].layers,
            np.concatenate([part.values for part in parts]),
            np.concatenate(log_probabilities) if log_probabilities else None,
            np.concatenate(entropies) if entropies else None,
        )


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
