"""How probabilities are shown: percentages, steps of a heat map, what they have meant, where they do not hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BundleError


def percent(probability: float) -> str:
    """Two digits at most: "41%"; never "0%" or "100%", since no span is known to be right or wrong."""
    rounded = round(100 * probability)
    if rounded < 1:
        return "<1%"
    return f"{rounded}%" if rounded < 100 else ">99%"


def ordinal(number: int) -> str:
    """ "1st", "2nd", "11th", "1,000th" """
    tens, ones = number // 10 % 10, number % 10
    ending = {1: "st", 2: "nd", 3: "rd"}.get(ones, "th") if tens != 1 else "th"
    return f"{number:,}{ending}"


STEPS = 4
_NEVER_WARM = 0.01  # a line below this has no place in a heat map, whatever the threshold


def heat_edges(threshold: float) -> NDArray[np.float64]:
    """Where the steps 1 to 4 begin: at half the threshold, at it, and then in equal parts between it and certainty."""
    part = (1 - threshold) / 3
    return np.maximum([threshold / 2, threshold, threshold + part, threshold + 2 * part], _NEVER_WARM)


def heat_steps(probabilities: NDArray[np.float64], threshold: float) -> tuple[int, ...]:
    """The step of each line, 0 (not shown) to 4; a line without a probability (NaN) is not shown."""
    steps = np.searchsorted(heat_edges(threshold), probabilities, side="right")
    return tuple(np.where(np.isnan(probabilities), 0, steps).tolist())


LANGUAGE = "python"
# Lines. Held-out programs have 37 on average and 184 at most; files of twelve of them, some 450 lines that are read
# part by part, are as far as the order of lines was measured (docs/probe-attempts.md).
LONGEST = 500
UNLIKE_ALL = 0.99  # of the held-out programs, this share was less unusual to the model


def reason_outside(language_id: str, line_count: int, novelty: float | None) -> str | None:
    """Why the numbers may not hold for a text, as one clause for people; None if nothing speaks against them."""
    if language_id != LANGUAGE:
        return f"the numbers were measured on Python programs, and the language of this one is {language_id}"
    if line_count > LONGEST:
        return f"the numbers were measured on short programs, and this one has {line_count:,} lines, over {LONGEST:,}"
    if novelty is not None and novelty >= UNLIKE_ALL:
        return "this program is unlike those that the numbers were measured on"
    return None


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
