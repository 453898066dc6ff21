"""What is to be repaired, and what that may cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from risk_lsp.errors import BadInput, RiskError
from risk_lsp.text.spans import Span


class RepairError(RiskError):
    """A repair that cannot be had; the hint says what to do next."""


@dataclass(frozen=True)
class Budget:
    """Where a repair ends. tokens: read and written by an asked model. executions: programs run against the tests."""

    tokens: int = 20_000
    executions: int = 200
    seconds: float = 120.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                raise BadInput(f"a budget of {value} {name} allows nothing", f"give {name} above zero")


@dataclass(frozen=True)
class RepairRequest:
    """A document and what to repair in it; offsets are code points of `text`.

    span: the part to repair, None for all. hint: what the person says about it. name: for prompts and the record, such
    as the file's name. given: nothing in front of this offset is changed.
    """

    text: str
    language_id: str = "python"
    span: Span | None = None
    hint: str = ""
    name: str = ""
    given: int = 0
    budget: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        span = self.span
        if span is not None and not 0 <= span.start <= span.end <= len(self.text):
            raise BadInput(
                f"the span {span.start}-{span.end} is outside of the text", "ask again for the text as it is"
            )
