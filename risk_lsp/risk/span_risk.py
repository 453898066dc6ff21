"""What every reader of risks may ask for, whoever computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray


class SpanRisk(Protocol):
    """The probability that a span of one text has to be edited, for any span, without another run of the model.

    Offsets are code points, spans half open. A span's tokens are those that overlap it.
    """

    @property
    def text_length(self) -> int:
        """The length of the text in code points."""

    @property
    def starts(self) -> NDArray[np.int32]:
        """Where each token starts, int32[n]."""

    @property
    def ends(self) -> NDArray[np.int32]:
        """Where each token ends, int32[n]."""

    @property
    def novelty(self) -> float | None:
        """How unlike the calibration texts this one is; None if that was not measured."""

    def probability(self, start: int, end: int) -> float:
        """The probability for one span; 0.0 for one without tokens. BadInput for one outside of the text."""

    def probabilities(self, starts: ArrayLike, ends: ArrayLike) -> NDArray[np.float64]:
        """The probabilities for many spans, float64 in the shape of the offsets."""

    def token_probabilities(self, tokens: NDArray[np.intp] | None = None) -> NDArray[np.float64]:
        """The probability of each token by itself, float64[n], or of the tokens with those indices."""

    def scaled(self, factors: NDArray[np.float64]) -> SpanRisk:
        """The same risks with the hazard of each token multiplied by its factor, float64[n], finite and at least 0."""

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """A JSON header and arrays, to send to another process."""


class Scorer(Protocol):
    """What gives texts their risks."""

    def score(self, text: str, language_id: str) -> SpanRisk:
        """The risks of one text, from one run of a model."""

    def score_many(self, texts: Sequence[str], language_id: str = "python") -> Sequence[SpanRisk]:
        """The risks of many texts of one language, in their order; they share runs of the model."""


def as_offsets(values: ArrayLike | Sequence[int]) -> NDArray[Any]:
    """The offsets as an array; an empty list counts as whole numbers."""
    array = np.asarray(values)
    return array.astype(np.int32) if array.size == 0 else array


_Item = TypeVar("_Item")

# A batch ends at either: enough texts to fill runs of the model, few enough to lose little in an interruption.
_ITEMS = 64
_CHARACTERS = 200_000


def in_batches(items: Iterable[_Item], characters_of: Callable[[_Item], int]) -> Iterator[list[_Item]]:
    """The items in their order, so many at a time."""
    batch: list[_Item] = []
    characters = 0
    for item in items:
        batch.append(item)
        characters += characters_of(item)
        if len(batch) == _ITEMS or characters >= _CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
