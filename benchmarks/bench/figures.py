"""What a measurement gives: a name, a unit, its values, and the bar it is held to."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One row of the report. `minimum` and `target` are bars in the figure's unit, None where there is none.

    `larger_is_better` says on which side of a bar the values should be.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    minimum: float | None = None
    target: float | None = None
    larger_is_better: bool = False
    note: str = ""

    @property
    def median(self) -> float:
        """The middle of the values."""
        return statistics.median(self.values)

    def verdict(self) -> str:
        """Which bar the median reaches."""
        if self.reaches(self.target):
            return "target"
        if self.minimum is None:
            return ""
        return "minimum" if self.reaches(self.minimum) else "missed"

    def reaches(self, bar: float | None) -> bool:
        """Whether the median is on the right side of a bar; False where there is none."""
        if bar is None:
            return False
        return self.median >= bar if self.larger_is_better else self.median <= bar

    def to_json(self) -> dict[str, Any]:
        """As the JSON report has it."""
        return {**asdict(self), "median": self.median, "verdict": self.verdict()}


def timed(work: Callable[[], object], repeat: int) -> tuple[float, ...]:
    """Seconds of each of `repeat` calls, after one that is not counted."""
    work()
    return tuple(seconds_of(work) for _ in range(repeat))


def seconds_of(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def markdown(figures: Sequence[Figure]) -> str:
    """A table of the figures."""
    lines = ["| what | median | range | minimum | target | reached |", "|---|---|---|---|---|---|"]
    for figure in figures:
        unit = f" {figure.unit}" if figure.unit else ""
        spread = f"{_number(min(figure.values))}-{_number(max(figure.values))}" if len(figure.values) > 1 else ""
        bars = ["" if bar is None else f"{_number(bar)}{unit}" for bar in (figure.minimum, figure.target)]
        name = f"{figure.name} ({figure.note})" if figure.note else figure.name
        lines.append(
            f"| {name} | {_number(figure.median)}{unit} | {spread} | {' | '.join(bars)} | {figure.verdict()} |"
        )
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
