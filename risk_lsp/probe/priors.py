"""What kind of text a line is, and what a bundle says about how often lines of each kind need an edit."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Any

from risk_lsp.errors import BundleError

_FIT_AGAIN = "set them again with `risk-lsp probe places`"


class Place(str, Enum):
    """The kind of text that a line is: just written by a model, changed since the last commit, or reviewed and kept."""

    GENERATED = "generated"
    CHANGED = "changed"
    AT_REST = "at_rest"


@dataclass(frozen=True)
class Prior:
    """How often lines of one place need an edit, and what that makes of the probe's numbers.

    `factor` multiplies the hazard of every token in the place. `rate` is the share of lines to edit that this gives,
    None where nobody says. `measured` tells whether the rate was counted, on `n` lines; otherwise it is an assumption.
    Raises BundleError unless the factor is finite and above 0, the rate from 0 to 1, and n at least 0.
    """

    factor: float = 1.0
    rate: float | None = None
    n: int = 0
    measured: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.factor) and self.factor > 0):
            raise BundleError(f"places: a factor is {self.factor}", f"it has to be finite and above 0; {_FIT_AGAIN}")
        if self.rate is not None and not 0 <= self.rate <= 1:
            raise BundleError(f"places: a rate is {self.rate}", f"it has to be a share from 0 to 1; {_FIT_AGAIN}")
        if self.n < 0:
            raise BundleError(f"places: n is {self.n}", f"it counts lines; {_FIT_AGAIN}")


@dataclass(frozen=True)
class Priors:
    """The prior of every place. By default all have factor 1, and only generated text was measured."""

    generated: Prior = Prior(measured=True)
    changed: Prior = Prior()
    at_rest: Prior = Prior()

    def of(self, place: Place) -> Prior:
        """The prior of a place."""
        prior: Prior = getattr(self, place.value)
        return prior

    def to_json(self) -> dict[str, Any]:
        """The priors, as the manifest holds them."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Priors:
        """The reverse of to_json; raises BundleError for anything else."""
        names = {place.value for place in Place}
        if not isinstance(value, dict) or set(value) != names:
            raise BundleError(f"places: {', '.join(sorted(names))} are wanted, nothing else", _FIT_AGAIN)
        return cls(**{name: _prior(name, value[name]) for name in value})


_TYPES: dict[str, tuple[type, ...]] = {"factor": (int, float), "rate": (int, float), "n": (int,), "measured": (bool,)}


def _prior(name: str, value: Any) -> Prior:
    wanted = [field.name for field in fields(Prior)]
    if not isinstance(value, dict) or set(value) != set(wanted):
        raise BundleError(f"places: {name} needs {', '.join(wanted)}, nothing else", _FIT_AGAIN)
    for key, types in _TYPES.items():
        if type(value[key]) not in types and not (key == "rate" and value[key] is None):
            raise BundleError(f"places: the {key} of {name} is {value[key]!r}", _FIT_AGAIN)
    rate = value["rate"]
    try:
        return Prior(float(value["factor"]), None if rate is None else float(rate), value["n"], value["measured"])
    except OverflowError:
        raise BundleError(f"places: a number of {name} is too large", _FIT_AGAIN) from None
