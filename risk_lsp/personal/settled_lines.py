"""The records of accepted regions, read back: which lines were settled, their numbers and their fates."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.personal.line_fates import Fate

FORMAT = 1
ACCEPTED, SETTLED = "accepted", "settled"


class Kind(NamedTuple):
    """What shares one level: the bundle that gave the numbers, and the language."""

    bundle: str
    language: str


@dataclass(frozen=True)
class SettledRegion:
    """The lines of one region: `probabilities` float64[lines], as everybody gets them, and their fates.

    `settled_at` is in seconds since the epoch.
    """

    settled_at: float
    probabilities: NDArray[np.float64]
    fates: tuple[Fate, ...]

    @property
    def edited(self) -> NDArray[np.bool_]:
        """bool[lines]: whether each was edited in substance, or deleted."""
        return np.array([fate is not Fate.KEPT for fate in self.fates], dtype=np.bool_)


def acceptance(
    region: str, at: float, kind: Kind, lines: Sequence[str], tokens: Sequence[int], numbers: Sequence[float]
) -> dict[str, Any]:
    """The record of an accepted region: hashes of its lines, how many tokens each has, and its probability."""
    return {
        "format": FORMAT,
        "event": ACCEPTED,
        "region": region,
        "at": round(at),
        "bundle": kind.bundle,
        "language": kind.language,
        "lines": list(lines),
        "tokens": list(tokens),
        "probabilities": [round(number, 5) for number in numbers],
    }


def settlement(region: str, at: float, reason: str, fates: Sequence[Fate]) -> dict[str, Any]:
    """The record of what became of a region's lines; no fates where it was taken back as a whole."""
    letters = "".join(fate.value for fate in fates)
    return {
        "format": FORMAT,
        "event": SETTLED,
        "region": region,
        "at": round(at),
        "reason": reason,
        "fates": letters,
    }


def settled_regions(records: Iterable[dict[str, Any]]) -> dict[Kind, list[SettledRegion]]:
    """The settled regions by what shares a level, in the order in which they were settled.

    A region counts once, also where two servers recorded it. Records that make no sense are left out.
    """
    accepted: dict[str, tuple[Kind, NDArray[np.float64]]] = {}
    found: dict[Kind, dict[str, SettledRegion]] = defaultdict(dict)
    for record in records:
        region = record.get("region")
        if record.get("format") != FORMAT or not isinstance(region, str):
            continue
        if record.get("event") == ACCEPTED and region not in accepted:
            read = _acceptance(record)
            if read is not None:
                accepted[region] = read
        elif record.get("event") == SETTLED and region in accepted:
            kind, probabilities = accepted[region]
            fates = _fates(record.get("fates"))
            at = record.get("at")
            if fates is not None and len(fates) == len(probabilities) and type(at) is int:
                found[kind].setdefault(region, SettledRegion(float(at), probabilities, fates))
    return {kind: list(regions.values()) for kind, regions in found.items()}


def _acceptance(record: dict[str, Any]) -> tuple[Kind, NDArray[np.float64]] | None:
    bundle, language, numbers = (record.get(name) for name in ("bundle", "language", "probabilities"))
    if not isinstance(bundle, str) or not isinstance(language, str) or not isinstance(numbers, list):
        return None
    if not all(type(number) in (int, float) and math.isfinite(number) and 0 <= number <= 1 for number in numbers):
        return None
    return Kind(bundle, language), np.array(numbers, dtype=np.float64)


def _fates(letters: object) -> tuple[Fate, ...] | None:
    if not isinstance(letters, str):
        return None
    try:
        return tuple(map(Fate, letters))
    except ValueError:
        return None
