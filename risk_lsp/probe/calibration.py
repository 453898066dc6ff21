"""From the hazards of a span to a probability: the map, how far a text's level is believed, what a place does to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BundleError

Floats = NDArray[np.float32]

# Below this the frailty changes no probability by more than one part in a million; the limit is exact and cheaper.
_NO_FRAILTY = 1e-9
_TINY_TOTAL = 1e-9


@dataclass(frozen=True)
class Calibration:
    """P = 1 - (1 + theta * G) ** (-1 / theta) with G = scale * H ** power; for theta = 0, P = 1 - exp(-G).

    `theta` is the shared frailty (edits come in clusters), `scale` and `power` were fitted on held-out problems.
    `document` acts on the hazards before: those of one text share a factor such that their total T becomes
    T ** document. So whole texts can differ more or less than their parts, and a part still never outweighs the whole.
    Raises BundleError unless all are finite, theta >= 0, and the others > 0.
    """

    theta: float = 0.0
    scale: float = 1.0
    power: float = 1.0
    document: float = 1.0

    def __post_init__(self) -> None:
        for name, allowed in (
            ("theta", self.theta >= 0),
            ("scale", self.scale > 0),
            ("power", self.power > 0),
            ("document", self.document > 0),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and allowed):
                raise BundleError(
                    f"calibration: {name} is {value}",
                    "theta has to be finite and at least 0, the others finite and above 0; fit the probe again",
                )

    def probability(self, hazard_sum: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """The probabilities, in [0, 1] and of the same shape, for sums of hazards (non-negative, not NaN).

        Never decreasing, rounding included: the sums are rounded to float32 first, so two that differ do so by far more
        than the error of the functions below, and each of those is used where it keeps such a difference.
        """
        with np.errstate(over="ignore", under="ignore"):
            hazards = hazard_sum.astype(np.float32).astype(np.float64)
            exponent = self.scale * hazards**self.power
            if self.theta > _NO_FRAILTY:
                exponent = np.log1p(self.theta * exponent) / self.theta
            return np.where(exponent < 1.0, -np.expm1(-exponent), 1.0 - np.exp(-exponent))

    def factor(
        self, total: NDArray[np.floating[Any]] | float, belief: NDArray[np.floating[Any]] | float = 1.0
    ) -> NDArray[np.float64]:
        """What the hazards of a text are multiplied by, given its total (at least 1e-9), in the totals' shape.

        `belief`, from 0 to 1: how far the text's own level counts (see Familiarity). The total becomes
        T ** (document * belief): at 0 it is 1 for every text, and only what lines are to each other is the text's own.
        """
        known = np.maximum(np.asarray(total, dtype=np.float64), _TINY_TOTAL)
        return np.asarray(known ** (self.document * belief - 1.0), dtype=np.float64)

    def to_json(self) -> dict[str, float]:
        """The parameters, as the manifest holds them."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Calibration:
        """The reverse of to_json; raises BundleError for anything else."""
        names = ("theta", "scale", "power")
        if not isinstance(value, dict) or set(value) - {"document"} != set(names):
            raise BundleError(
                "calibration: theta, scale and power are wanted, document may be there, nothing else",
                "fit the probe again",
            )
        if any(isinstance(number, bool) or not isinstance(number, (int, float)) for number in value.values()):
            raise BundleError("calibration: theta, scale, power and document have to be numbers", "fit the probe again")
        try:
            return cls(**{name: float(number) for name, number in value.items()})
        except OverflowError:
            raise BundleError("calibration: a parameter is too large to be a number", "fit the probe again") from None


_TENSORS = ("mean", "scale", "components", "variances", "rest", "quantiles")
_PREFIX = "familiarity."
_QUANTILES = 101
_FARTHEST = 8.0  # spreads; one feature that is out of all bounds does not decide alone
# Among calibration texts by rising distance: the level is believed in full up to the first share, not from the second.
_BELIEVED, _DOUBTED = 0.45, 0.95


@dataclass(frozen=True)
class Familiarity:
    """A normal distribution of the mean standardised features of texts, in few dimensions.

    `mean` and `scale` float32[features] bring texts to mean 0 and variance 1; `components` float32[k, features],
    orthonormal; `variances` float32[k] along them, and `rest`, float32[1], that of every other direction; `quantiles`
    float32[101], the distances of calibration texts from 0% to 100%. Raises BundleError for shapes that do not fit,
    scales or variances that are not above 0, and falling quantiles.
    """

    mean: Floats
    scale: Floats
    components: Floats
    variances: Floats
    rest: Floats
    quantiles: Floats

    def __post_init__(self) -> None:
        features, count = len(self.mean), len(self.components)
        shapes = [(features,), (features,), (count, features), (count,), (1,), (_QUANTILES,)]
        fits = [getattr(self, name).shape for name in _TENSORS] == shapes and 0 < count <= features
        positive = fits and min(self.scale.min(), self.variances.min(), self.rest[0]) > 0
        if not positive or (np.diff(self.quantiles) < 0).any():
            raise BundleError("the probe's tensors of familiarity do not fit together", "fit the probe again")

    def distances(self, means: NDArray[np.floating]) -> NDArray[np.float64]:
        """Squared Mahalanobis distances of texts, float64[texts]; `means` float[texts, features]."""
        centred = np.clip((means.astype(np.float64) - self.mean) / self.scale, -_FARTHEST, _FARTHEST)
        along = centred @ self.components.T.astype(np.float64)
        beside = np.maximum(np.sum(np.square(centred), axis=1) - np.sum(np.square(along), axis=1), 0.0)
        found: NDArray[np.float64] = np.sum(np.square(along) / self.variances, axis=1) + beside / float(self.rest[0])
        return found

    def belief(self, means: NDArray[np.floating]) -> NDArray[np.float64]:
        """How far the level of each text is believed, float64[texts] from 0 to 1; `means` float[texts, features]."""
        nearer = np.interp(self.distances(means), self.quantiles, np.linspace(0.0, 1.0, _QUANTILES))
        return np.clip((_DOUBTED - nearer) / (_DOUBTED - _BELIEVED), 0.0, 1.0)

    def tensors(self) -> dict[str, Floats]:
        """The arrays by the names that they have in a bundle."""
        return {_PREFIX + name: np.ascontiguousarray(getattr(self, name), dtype=np.float32) for name in _TENSORS}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Floats], features: int) -> Familiarity | None:
        """From a bundle's tensors; None if it has none. BundleError for others than those, and for other shapes."""
        found = {name.removeprefix(_PREFIX): tensors[name] for name in tensors if is_familiarity(name)}
        if not found:
            return None
        if set(found) != set(_TENSORS) or found["mean"].shape != (features,):
            raise BundleError("the probe's tensors of familiarity do not fit together", "fit the probe again")
        return cls(**found)


def is_familiarity(name: str) -> bool:
    """Whether a tensor of a bundle is one of familiarity."""
    return name.startswith(_PREFIX)


_FIT_AGAIN = "set them again with `risk-lsp probe places`"


class Place(str, Enum):
    """The kind of text that a line is: just written by a model, changed since the last commit, or reviewed and kept."""

    GENERATED = "generated"
    CHANGED = "changed"
    AT_REST = "at_rest"


PLACES = tuple(Place)  # the number of a place, in arrays, is its index here
LinePlaces = NDArray[np.int8]


def all_lines(place: Place, count: int) -> LinePlaces:
    """One place for so many lines, int8[count]."""
    return np.full(count, PLACES.index(place), dtype=np.int8)


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
        wanted, found = [field.name for field in fields(Prior)], {}
        for name, prior in value.items():
            if not isinstance(prior, dict) or set(prior) != set(wanted):
                raise BundleError(f"places: {name} needs {', '.join(wanted)}, nothing else", _FIT_AGAIN)
            for key, types in _TYPES.items():
                if type(prior[key]) not in types and not (key == "rate" and prior[key] is None):
                    raise BundleError(f"places: the {key} of {name} is {prior[key]!r}", _FIT_AGAIN)
            rate = prior["rate"]
            try:
                rate = None if rate is None else float(rate)
                found[name] = Prior(float(prior["factor"]), rate, prior["n"], prior["measured"])
            except OverflowError:
                raise BundleError(f"places: a number of {name} is too large", _FIT_AGAIN) from None
        return cls(**found)


_TYPES: dict[str, tuple[type, ...]] = {"factor": (int, float), "rate": (int, float), "n": (int,), "measured": (bool,)}
