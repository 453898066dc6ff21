"""What a probability has meant: how often held-out lines with about that score really were edited."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from risk_lsp.errors import BundleError


@dataclass(frozen=True)
class ReferenceClass:
    """The held-out lines scored in [low, high): what was predicted on average, how often they were edited, how many."""

    low: float
    high: float
    predicted: float
    observed: float
    n: int

    def sentence(self, things: str) -> str:
        """ "of lines scored 35-45%, 39% were edited, n = 612" """
        scored = f"{round(100 * self.low)}-{round(100 * self.high)}%"
        return f"of {things} scored {scored}, {round(100 * self.observed)}% were edited, n = {self.n}"


@dataclass(frozen=True)
class ReferenceTable:
    """The reference classes of one level, by rising score, and the plural of what they count."""

    classes: tuple[ReferenceClass, ...]
    things: str = "lines"

    @classmethod
    def from_manifest(cls, reference: Any, level: str = "line") -> ReferenceTable:
        """From the manifest's "reference" object; a level that it does not have gives an empty table.

        Raises BundleError if what is there is malformed.
        """
        rows = reference.get(level, []) if isinstance(reference, dict) else None
        if not isinstance(rows, list):
            raise BundleError(f'manifest: reference["{level}"] is not a list', "evaluate the bundle again")
        classes = [_reference_class(row, f'manifest: reference["{level}"][{place}]') for place, row in enumerate(rows)]
        return cls(tuple(sorted(classes, key=lambda each: each.low)), f"{level}s")

    def find(self, probability: float) -> ReferenceClass | None:
        """The class that holds the probability; the last one holds its upper end too. None if no line was scored so."""
        for place, each in enumerate(self.classes):
            is_last = place == len(self.classes) - 1
            if each.low <= probability < each.high or (is_last and probability == each.high):
                return each if each.n else None
        return None

    def sentence(self, probability: float) -> str | None:
        """What the probability has meant, as one clause; None if no held-out line was scored like that."""
        found = self.find(probability)
        return found.sentence(self.things) if found else None


def _reference_class(row: Any, name: str) -> ReferenceClass:
    wanted = [field.name for field in fields(ReferenceClass)]
    if not isinstance(row, dict) or not _all_numbers([row.get(key) for key in wanted]):
        raise BundleError(f"{name} lacks a number among {', '.join(wanted)}", "evaluate the bundle again")
    low, high, predicted, observed = (float(row[key]) for key in wanted[:-1])
    if not 0 <= low < high <= 1 or not 0 <= observed <= 1 or row["n"] < 0:
        raise BundleError(f"{name} is not a class of probabilities", "evaluate the bundle again")
    return ReferenceClass(low, high, predicted, observed, int(row["n"]))


def _all_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(value, (int, float)) and math.isfinite(value) for value in values)
