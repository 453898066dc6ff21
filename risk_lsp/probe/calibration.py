"""One monotone map from the sum of the hazards over a span to a probability, shared by all spans of all sizes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BundleError

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

    def factor(self, total: NDArray[np.floating[Any]] | float) -> NDArray[np.float64]:
        """What the hazards of a text are multiplied by, given its total (at least 1e-9), in the totals' shape."""
        known = np.maximum(np.asarray(total, dtype=np.float64), _TINY_TOTAL)
        return np.asarray(known ** (self.document - 1.0), dtype=np.float64)

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
