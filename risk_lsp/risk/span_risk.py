"""What may be asked of risks and of a model's writing, and how risks and written texts reach other processes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk_lsp.errors import WorkerError
from risk_lsp.risk.risk_map import OTHER_VERSION, Arrays, RiskMap
from risk_lsp.text.document import Span
from risk_lsp.text.extents import Extent


class SpanRisk(Protocol):
    """The probability that a span of one text has to be edited, for any span, without another run of the model.

    Offsets are code points, spans half open. A span's tokens are those that overlap it.
    """

    text_length: int  # in code points
    starts: NDArray[np.int32]  # where each token starts, int32[n]
    ends: NDArray[np.int32]  # where each token ends, int32[n]
    novelty: float | None  # how unlike the calibration texts this one is; None if that was not measured

    def probability(self, start: int, end: int) -> float:
        """The probability for one span; 0.0 for one without tokens. BadInput for one outside of the text."""

    def probabilities(self, starts: ArrayLike, ends: ArrayLike) -> NDArray[np.float64]:
        """The probabilities for many spans, float64 in the shape of the offsets."""

    def token_probabilities(self, tokens: NDArray[np.intp] | None = None) -> NDArray[np.float64]:
        """The probability of each token by itself, float64[n], or of the tokens with those indices."""

    def scale(self, factors: NDArray[np.float64]) -> SpanRisk:
        """The same risks with the hazard of each token multiplied by its factor, float64[n], finite and at least 0."""

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """A JSON header and arrays, to send to another process."""


class Scorer(Protocol):
    """What gives texts their risks."""

    def score(self, text: str, language_id: str) -> SpanRisk:
        """The risks of one text, from one run of a model."""

    def score_many(self, texts: Sequence[str], language_id: str = "python") -> Sequence[SpanRisk]:
        """The risks of many texts of one language, in their order; they share runs of the model."""


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


# Starts the worker process.
WORKER_COMMAND = (sys.executable, "-m", "risk_lsp.risk.engine_worker")


@dataclass(frozen=True)
class PartialRisk:
    """`risks` hold for spans within one of `known`, which are in order and apart.

    Elsewhere they know of no token, or what was known before an edit.
    """

    risks: SpanRisk
    known: tuple[Span, ...]

    def to_arrays(self) -> tuple[dict[str, Any], Arrays]:
        """A JSON header and arrays, to send to another process."""
        header, arrays = self.risks.to_arrays()
        return {**header, "known": [list(span) for span in self.known]}, arrays

    @classmethod
    def from_arrays(cls, header: dict[str, Any], arrays: Arrays) -> PartialRisk:
        """The reverse of to_arrays. Raises WorkerError for anything else."""
        try:
            known = tuple(Span(start, end) for start, end in header["known"])
        except (KeyError, TypeError, ValueError) as error:
            raise WorkerError("risks of a part of a text do not say which part", OTHER_VERSION) from error
        return cls(RiskMap.from_arrays(header, arrays), known)


def within_any(spans: Sequence[Span] | NDArray[np.int64], known: Iterable[Span]) -> NDArray[np.bool_]:
    """bool[spans]: whether each of the spans, or int64[spans, 2], lies within one of `known`, which are in order and
    apart."""
    borders = np.array(list(known), dtype=np.int64).reshape(-1, 2)
    places = np.array(spans, dtype=np.int64).reshape(-1, 2)
    if not len(borders):
        return np.zeros(len(places), dtype=np.bool_)
    last = np.searchsorted(borders[:, 0], places[:, 0], side="right") - 1
    found: NDArray[np.bool_] = (last >= 0) & (places[:, 1] <= borders[last, 1])
    return found


def spans_of_tokens(starts: NDArray[Any], ends: NDArray[Any]) -> tuple[Span, ...]:
    """The characters that tokens stand for, as spans that are in order and apart."""
    if not len(starts):
        return ()
    gaps = np.flatnonzero(starts[1:] > ends[:-1])
    firsts, lasts = np.concatenate([[0], gaps + 1]), np.concatenate([gaps, [len(starts) - 1]])
    return tuple(Span(int(starts[first]), int(ends[last])) for first, last in zip(firsts, lasts, strict=True))


TEMPERATURE = 0.8


@dataclass(frozen=True)
class WritingTask:
    """What is to be written: `count` texts in place of the characters [start, end) of a text, and how much of it.

    The first text is the likeliest word by word, the others are drawn from `seed` on. tells_lines: whether the worker
    tells of the first one each time that a line of it is complete.
    """

    text: str
    start: int
    end: int
    extent: Extent
    language_id: str = "python"
    count: int = 1
    max_tokens: int = 64
    temperature: float = TEMPERATURE
    seed: int = 0
    tells_lines: bool = False

    def to_json(self) -> dict[str, Any]:
        """The fields by their names."""
        return asdict(self)


@dataclass(frozen=True)
class WrittenText:
    """A text for a place. `risk`: of the document with the text in it, as far as the model saw it while it wrote.

    log_probability: the mean of its tokens', in nats. tokens: how many. is_whole: whether it came to an end by itself.
    prompt_hash: of the tokens that the model read, 128 bits in hexadecimal.
    """

    text: str
    start: int
    risk: PartialRisk
    log_probability: float
    tokens: int
    is_whole: bool
    prompt_hash: str

    @property
    def span(self) -> Span:
        """Where it stands in the document with it."""
        return Span(self.start, self.start + len(self.text))

    @property
    def probability(self) -> float:
        """The probability that the text has to be edited."""
        return self.risk.risks.probability(*self.span)


_FIELDS = ("text", "start", "log_probability", "tokens", "is_whole", "prompt_hash")


def texts_to_arrays(texts: Sequence[WrittenText]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """A JSON header and arrays, to send to another process."""
    headers: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    for number, each in enumerate(texts):
        risk, own = each.risk.to_arrays()
        fields = {name: getattr(each, name) for name in _FIELDS}
        headers.append({**fields, "risk": risk})
        arrays |= {f"{number}.{name}": array for name, array in own.items()}
    return {"texts": headers}, arrays


def texts_from_arrays(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> list[WrittenText]:
    """The reverse of texts_to_arrays. Raises WorkerError for risks of another version."""
    found = []
    for number, fields in enumerate(header["texts"]):
        prefix = f"{number}."
        own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        found.append(WrittenText(**{**fields, "risk": PartialRisk.from_arrays(fields["risk"], own)}))
    return found
