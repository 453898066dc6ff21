"""The Bayesian update of a person's level, and what was learnt, in words and for programs.

The bundle's map is the prior, settled lines are the evidence.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.personal.ledger import ACCEPTED, Kind, Ledger, SettledRegion, settled_regions
from risk_lsp.personal.line_fates import Fate
from risk_lsp.risk.presentation import percent
from risk_lsp.risk.risk_map import LARGEST_RATIO, OddsShift

Floats = NDArray[np.float64]
_SECONDS_PER_DAY = 86_400.0
_STEPS = 25  # of Newton's method, which needs about five
_LARGEST_LEVEL = math.log(LARGEST_RATIO)


@dataclass(frozen=True)
class LevelPrior:
    """How much evidence a shift needs. docs/personal.md says what the defaults were chosen by.

    level_deviation, slope_deviation: standard deviations of the normal priors of level and slope, about 0. likeness:
    the correlation of the fates of two lines of one region; of n lines each weighs 1 / (1 + (n - 1) * likeness), which
    is Kish's design effect (Survey Sampling, 1965, section 5.4), so that no region weighs more than 1 / likeness lines.
    slope_from: the weight of lines from which on the slope is learnt, too. half_life: days after which a line weighs
    half.
    """

    level_deviation: float = 0.3
    slope_deviation: float = 0.2
    likeness: float = 0.1
    slope_from: float = 1_000.0
    half_life: float = 90.0


def learnt_shift(regions: Sequence[SettledRegion], now: float, prior: LevelPrior | None = None) -> OddsShift:
    """The shift with the largest posterior density, given the regions; `now` in seconds since the epoch.

    The fate of a line with probability p is taken to be drawn with the logit `level + (1 + slope) * (l - c) + c`, where
    l is the logit of p, and c the mean of l.
    """
    prior = prior or LevelPrior()
    regions = [region for region in regions if len(region.probabilities)]
    if not regions:
        return OddsShift(0.0)
    counts = np.array([len(region.probabilities) for region in regions])
    ages = np.array([max(now - region.settled_at, 0.0) / _SECONDS_PER_DAY for region in regions])
    weight_of_line = 0.5 ** (ages / prior.half_life) / (1.0 + (counts - 1) * prior.likeness)
    weights = np.repeat(weight_of_line, counts)
    edited = np.concatenate([region.edited for region in regions]).astype(np.float64)
    numbers = np.clip(np.concatenate([region.probabilities for region in regions]), 1e-6, 1 - 1e-6)
    logits = np.log(numbers / (1.0 - numbers))
    centre = float(np.average(logits, weights=weights))
    precision = np.array([prior.level_deviation**-2, prior.slope_deviation**-2])
    both = bool(weights.sum() >= prior.slope_from)
    level, slope = _mode(logits - centre, logits, edited, weights, precision, both=both)
    return OddsShift(float(np.clip(level, -_LARGEST_LEVEL, _LARGEST_LEVEL)), slope, centre, len(numbers))


def _mode(
    centred: Floats, logits: Floats, edited: Floats, weights: Floats, precision: Floats, *, both: bool
) -> tuple[float, float]:
    """Level and slope with the largest posterior density, by Newton's method; the slope stays 0 unless `both`."""
    design = np.stack([np.ones_like(centred), centred if both else np.zeros_like(centred)], axis=1)
    found = np.zeros(2)
    for _ in range(_STEPS):
        chance = 1.0 / (1.0 + np.exp(-(logits + design @ found)))
        gradient = design.T @ (weights * (edited - chance)) - precision * found
        curvature = (design * (weights * chance * (1.0 - chance))[:, None]).T @ design + np.diag(precision)
        # A step of more than one logit would leave the part where the quadratic fits.
        step = np.clip(np.linalg.solve(curvature, gradient), -1.0, 1.0)
        found = found + step
        if np.abs(step).max() < 1e-9:
            break
    return float(found[0]), float(np.clip(found[1], -0.9, 2.0))


_EXAMPLES = (0.1, 0.3, 0.6)


@dataclass(frozen=True)
class LearntLevel:
    """What was learnt for one bundle and language: from how many regions, and lines by their fate."""

    kind: Kind
    regions: int
    kept: int
    edited: int
    deleted: int
    shift: OddsShift

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            **self.kind._asdict(),
            "regions": self.regions,
            "lines": {"kept": self.kept, "edited": self.edited, "deleted": self.deleted},
            "odds": round(math.exp(self.shift.level), 4),
            "slope": round(1.0 + self.shift.slope, 4),
        }

    def text(self) -> str:
        """A paragraph for people."""
        lines = self.kept + self.edited + self.deleted
        examples = ", ".join(
            f"{percent(float(self.shift.probability(number)))} where others have {percent(number)}"
            for number in _EXAMPLES
        )
        return (
            f"{self.kind.language}: {lines:,} lines of {self.regions:,} regions"
            f" ({self.kept:,} kept, {self.edited:,} edited, {self.deleted:,} deleted)\n"
            f"  with the bundle {self.kind.bundle[:19]}: {examples}\n"
        )


@dataclass(frozen=True)
class PersonalSummary:
    """`accepted` regions were remembered; of those that were settled, `levels` tells."""

    folder: str
    is_off: bool
    accepted: int
    levels: tuple[LearntLevel, ...]

    @classmethod
    def of(cls, ledger: Ledger, now: float) -> PersonalSummary:
        """What a ledger holds, `now` in seconds since the epoch. Raises RiskError if it cannot be read."""
        records = list(ledger.records())
        accepted = {str(record.get("region")) for record in records if record.get("event") == ACCEPTED}
        levels = []
        for kind, regions in settled_regions(records).items():
            counts = Counter(fate for region in regions for fate in region.fates)
            kept, edited, deleted = (counts[fate] for fate in (Fate.KEPT, Fate.EDITED, Fate.DELETED))
            levels.append(LearntLevel(kind, len(regions), kept, edited, deleted, learnt_shift(regions, now)))
        return cls(str(ledger.folder), ledger.is_off, len(accepted), tuple(levels))

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        levels = [level.to_json() for level in self.levels]
        return {"folder": self.folder, "off": self.is_off, "accepted": self.accepted, "levels": levels}

    def text(self) -> str:
        """The same for people."""
        state = "off: nothing is remembered, and everybody's numbers are shown" if self.is_off else "on"
        lines = [f"Learning from your edits is {state}.", f"Records: {self.folder} ({self.accepted:,} regions)"]
        if not self.levels:
            lines.append("Nothing is settled yet: the numbers are those that everybody gets.")
        return "\n".join(lines) + "\n" + "".join(level.text() for level in self.levels)
