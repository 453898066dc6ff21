"""A text as tokens, each with the characters it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
