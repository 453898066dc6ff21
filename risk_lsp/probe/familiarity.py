"""How like the texts that a probe learnt from a text is, which decides how far the level of its risks is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BundleError

Floats = NDArray[np.float32]

NAMES = ("mean", "scale", "components", "variances", "rest", "quantiles")
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
        fits = [getattr(self, name).shape for name in NAMES] == shapes and 0 < count <= features
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
        return {_PREFIX + name: np.ascontiguousarray(getattr(self, name), dtype=np.float32) for name in NAMES}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Floats], features: int) -> Familiarity | None:
        """From a bundle's tensors; None if it has none. BundleError if some are missing or of other shapes."""
        found = {name: tensors[_PREFIX + name] for name in NAMES if _PREFIX + name in tensors}
        if not found:
            return None
        if len(found) < len(NAMES) or found["mean"].shape != (features,):
            raise BundleError("the probe's tensors of familiarity do not fit together", "fit the probe again")
        return cls(**found)


def is_familiarity(name: str) -> bool:
    """Whether a tensor of a bundle is one of familiarity."""
    return name.startswith(_PREFIX)
