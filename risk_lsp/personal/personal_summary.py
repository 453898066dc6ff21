"""What is remembered of a person's generated lines and what was learnt from it, in words and for programs."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from risk_lsp.personal.ledger import Ledger
from risk_lsp.personal.level_update import learnt_shift
from risk_lsp.personal.line_fates import Fate
from risk_lsp.personal.settled_lines import ACCEPTED, Kind, settled_regions
from risk_lsp.risk.odds_shift import OddsShift
from risk_lsp.risk.presentation import percent

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
