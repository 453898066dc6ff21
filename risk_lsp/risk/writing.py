"""What is asked of the hosted model's writing, what comes of it, and how both travel between processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import NDArray

from risk_lsp.risk.span_risk import PartialRisk
from risk_lsp.text.document import Span
from risk_lsp.text.extents import Extent

TEMPERATURE = 0.8


@dataclass(frozen=True)
class WritingTask:
    """What is to be written: `count` texts in place of the characters [start, end) of a text, and how much of it.

    The first text is the likeliest word by word, the others are drawn from `seed` on.
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

    def to_json(self) -> dict[str, Any]:
        """The fields by their names."""
        return asdict(self)


@dataclass(frozen=True)
class WrittenText:
    """A text for a place. `risk`: of the document with the text in it, as far as the model saw it while it wrote.

    log_probability: the mean of its tokens', in nats. tokens: how many. is_whole: whether it came to an end by itself.
    """

    text: str
    start: int
    risk: PartialRisk
    log_probability: float
    tokens: int
    is_whole: bool

    @property
    def span(self) -> Span:
        """Where it stands in the document with it."""
        return Span(self.start, self.start + len(self.text))

    @property
    def probability(self) -> float:
        """The probability that the text has to be edited."""
        return self.risk.risks.probability(*self.span)


def texts_to_arrays(texts: Sequence[WrittenText]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """A JSON header and arrays, to send to another process."""
    headers: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    for number, each in enumerate(texts):
        risk, own = each.risk.to_arrays()
        fields = {name: getattr(each, name) for name in ("text", "start", "log_probability", "tokens", "is_whole")}
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
