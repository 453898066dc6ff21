"""The order in which candidates are tried: by the probability mass that each of them carries.

The log-mass of a candidate is linear in a few features (a conditional logit over the candidates of a program: McFadden,
1974): the kind of edit, the probe's hazards where the edit is, how much the model prefers the new text, and what a
watched run of the failing tests showed. The weights were fitted on problems of the training split.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.repair.candidates import Candidate
from risk_lsp.repair.evidence import Evidence
from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.text.lines import LineIndex

Floats = NDArray[np.float64]

# Columns of the features; the first three are the probe's.
HAZARD_FEATURES = ("token hazard", "span hazard", "line hazard")
FEATURES = (
    *HAZARD_FEATURES,
    *("preference", "preference known", "suspicion", "ran", "error line"),
    *("removed", "added", "of its kind", "in a return"),
)
_LEAST = 1e-4
_FARTHEST_PREFERENCE = 12.0
_WEIGHTS = "ranking_weights.json"


@dataclass(frozen=True)
class RankingWeights:
    """Weights by feature, and by operator: what an edit of this kind is worth before anything else is known."""

    features: dict[str, float]
    operators: dict[str, float]
    unknown: float  # of an operator that no training program was mended by

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> RankingWeights:
        """From what the fit wrote."""
        return cls(dict(content["features"]), dict(content["operators"]), float(content["unknown"]))

    def without_hazards(self) -> RankingWeights:
        """The same, blind to the probe: for comparison."""
        kept = {name: 0.0 if name in HAZARD_FEATURES else weight for name, weight in self.features.items()}
        return RankingWeights(kept, self.operators, self.unknown)


@cache
def fitted_weights() -> RankingWeights:
    """The weights that ship with the program."""
    content = resources.files("risk_lsp.repair").joinpath(_WEIGHTS).read_text("utf-8")
    return RankingWeights.from_json(json.loads(content))


def masses(
    text: str,
    found: Sequence[Candidate],
    risk: SpanRisk,
    preferences: Floats,
    evidence: Evidence,
    weights: RankingWeights,
) -> Floats:
    """The probability mass of each candidate, float64[candidates]; they add up to 1."""
    if not found:
        return np.zeros(0)
    columns = features(text, found, risk, preferences, evidence)
    score = columns @ np.array([weights.features.get(name, 0.0) for name in FEATURES])
    score += [weights.operators.get(candidate.edit.operator, weights.unknown) for candidate in found]
    mass = np.exp(score - score.max())
    return np.asarray(mass / mass.sum(), dtype=np.float64)


def features(text: str, found: Sequence[Candidate], risk: SpanRisk, preferences: Floats, evidence: Evidence) -> Floats:
    """float64[candidates, len(FEATURES)]."""
    lines = LineIndex(text)
    kinds = Counter(candidate.edit.operator for candidate in found)
    starts = np.array([candidate.edit.span.start for candidate in found])
    ends = np.array([candidate.edit.span.end for candidate in found])
    at = np.array([lines.line_of(int(start)) for start in starts])
    last = np.array([lines.line_of(max(int(start), int(end) - 1)) for start, end in zip(starts, ends, strict=True)])
    columns = np.zeros((len(found), len(FEATURES)))
    columns[:, :3] = _hazards(text, risk, lines, starts, ends, at)
    columns[:, 3] = np.clip(preferences, -_FARTHEST_PREFERENCE, _FARTHEST_PREFERENCE / 2) / 4
    columns[:, 4] = preferences != 0
    columns[:, 5:8] = [_shown(evidence, int(first), int(end)) for first, end in zip(at, last, strict=True)]
    columns[:, 8] = np.log1p(ends - starts)
    columns[:, 9] = [np.log1p(len(candidate.edit.replacement)) for candidate in found]
    columns[:, 10] = [np.log(kinds[candidate.edit.operator]) for candidate in found]
    columns[:, 11] = [
        lines.slice(lines.start(int(line)), int(start) + 6).lstrip().startswith("return")
        for line, start in zip(at, starts, strict=True)
    ]
    return columns


def _hazards(
    text: str, risk: SpanRisk, lines: LineIndex, starts: NDArray[Any], ends: NDArray[Any], at: NDArray[Any]
) -> Floats:
    """Logarithms: of the largest token's probability in the edit, of the edit's, and of its line's."""
    length = len(text)
    # An insertion has no tokens of its own: the one before it and the one behind it count.
    wide_starts = np.where(starts == ends, np.maximum(starts - 1, 0), starts)
    wide_ends = np.where(starts == ends, np.minimum(ends + 1, length), ends)
    tokens = risk.token_probabilities()
    first = np.searchsorted(risk.ends, wide_starts, side="right")
    last = np.searchsorted(risk.starts, wide_ends, side="left")
    largest = [tokens[one:two].max(initial=0.0) for one, two in zip(first, last, strict=True)]
    line_starts = [lines.start(int(line)) for line in at]
    line_ends = [lines.content_end(int(line)) for line in at]
    columns = (
        np.asarray(largest),
        risk.probabilities(wide_starts, wide_ends),
        risk.probabilities(line_starts, line_ends),
    )
    return np.stack([np.log(np.maximum(column, _LEAST)) for column in columns], axis=1)


def _shown(evidence: Evidence, first: int, last: int) -> tuple[float, float, float]:
    """Suspicion of the most suspicious line; whether any ran in what failed; whether an exception came from one."""
    touched = range(first, last + 1)
    suspicion = max((evidence.suspicion.get(line, 0.0) for line in touched), default=0.0)
    return (suspicion, float(suspicion > 0), float(any(line in evidence.error_lines for line in touched)))
