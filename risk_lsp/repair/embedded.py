"""The provider that needs nothing else: edits of a program, tried in order of probability mass."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.edits.candidates import Candidate, candidates, with_infills
from risk_lsp.errors import RepairError
from risk_lsp.repair.harness import Evidence
from risk_lsp.repair.workbench import Proposal, Workbench
from risk_lsp.risk.presentation import code_line_risks, document_risk, riskiest_lines
from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.text.document import LineIndex, Span

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
    """What each feature and each operator adds to the logarithm of a candidate's mass."""

    features: dict[str, float]
    operators: dict[str, float]
    unknown: float  # of an operator that no training program was mended by

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> RankingWeights:
        """From the JSON object that `scripts/fit_repair_ranking.py` writes."""
        return cls(dict(content["features"]), dict(content["operators"]), float(content["unknown"]))

    def without_hazards(self) -> RankingWeights:
        """The same weights without those of the probe, for comparison."""
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
    """What the ranking knows of each candidate, float64[candidates, len(FEATURES)], columns as in FEATURES."""
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
    for row, (first, end) in enumerate(zip(at.tolist(), last.tolist(), strict=True)):
        # The highest suspicion, whether any line ran in what failed, whether an exception came from any.
        touched = range(first, end + 1)
        suspicion = max((evidence.suspicion.get(line, 0.0) for line in touched), default=0.0)
        columns[row, 5:8] = suspicion, suspicion > 0, any(line in evidence.error_lines for line in touched)
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


_BATCH_SECONDS = 1.5  # so long a batch may take: progress is shown, and cancelling noticed, in between
_MOST_AT_ONCE = 32
_FILLED_LINES = 4
_FILLS = 4
_FILL_TOKENS = 24
_SUGGESTED_FROM = 64
_HEAD = re.compile(r"\s*(?:return |if |elif |while |for [\w, ]+ in |[\w.\[\], ]+ [-+*/]?= )?")


class CandidateOrder(NamedTuple):
    """Candidates with their probability masses, the greatest first."""

    found: list[Candidate]
    masses: NDArray[np.float64]


class EmbeddedProvider:
    """Works offline with the hosted model alone. Replace `weights` to try another order."""

    name = "embedded"

    def __init__(self, weights: RankingWeights | None = None, *, infills: bool = True) -> None:
        self._weights = weights or fitted_weights()
        self._infills = infills

    async def search(self, bench: Workbench) -> None:
        """Try candidates until one passes or the budget ends; without tests, those that lower the risk most.

        RepairError for anything else than Python.
        """
        if bench.request.language_id != "python":
            raise RepairError(
                f"the embedded provider does not repair {bench.request.language_id}", "ask a model: another provider"
            )
        ordered = await self.order(bench)
        if bench.execution is None:
            await self._suggest(bench, ordered)
        else:
            await self._try_candidates(bench, ordered)

    async def order(self, bench: Workbench) -> CandidateOrder:
        """Every candidate, in the order in which they are tried."""
        bench.show("looking for changes")
        request = bench.request
        text, given = request.text, request.given
        risk = await bench.risk()
        region = None if request.span is None else whole_lines(text, request.span)
        found = await asyncio.to_thread(candidates, text, given=given, within=region)
        if self._infills:
            found += await self._fill(bench, risk, region, {candidate.text for candidate in found})
        preferences = await bench.model.preferences(text, [candidate.text for candidate in found])
        mass = masses(text, found, risk, preferences, bench.evidence, self._weights)
        order = np.argsort(-mass, kind="stable")
        return CandidateOrder([found[index] for index in order], mass[order])

    async def _fill(self, bench: Workbench, risk: SpanRisk, region: Span | None, known: set[str]) -> list[Candidate]:
        """What the model would write in the riskiest lines, and behind their first words."""
        request = bench.request
        lines = LineIndex(request.text)
        probabilities = code_line_risks(risk, request.text, request.language_id)
        holes: list[Span] = []
        for line in riskiest_lines(probabilities, lines.count):
            content = Span(lines.start(line), lines.content_end(line))
            inside = region is None or (region.start <= content.start and content.end <= region.end)
            if content.start >= request.given and inside and len(holes) < 2 * _FILLED_LINES:
                # The line without its indentation, and what stands behind its first words.
                words = request.text[content.start : content.end]
                own, head = content.start + len(words) - len(words.lstrip()), _HEAD.match(words)
                behind = content.start + (head.end() if head else 0)
                holes += [Span(start, content.end) for start in sorted({own, behind}) if start < content.end]
        bench.show("asking the model what it would write")
        fills = await bench.model.infills(request.text, holes, count=_FILLS, max_tokens=_FILL_TOKENS)
        pairs = [(hole, fill.text) for hole, some in zip(holes, fills, strict=True) for fill in some]
        return await asyncio.to_thread(with_infills, request.text, pairs, known)

    async def _try_candidates(self, bench: Workbench, ordered: CandidateOrder) -> None:
        waiting = [candidate for candidate in ordered.found if not bench.is_known(candidate.text)]
        size = 4
        while waiting and not bench.is_over:
            batch, waiting = waiting[:size], waiting[size:]
            bench.show("running the tests")
            started = time.monotonic()
            nodes = await bench.try_all([Proposal(each.text, each.edit.operator) for each in batch])
            if any(node.verdict is not None and node.verdict.passed for node in nodes):
                return
            each_took = (time.monotonic() - started) / len(batch)
            size = max(1, min(_MOST_AT_ONCE, int(_BATCH_SECONDS / max(each_took, 0.01))))

    async def _suggest(self, bench: Workbench, ordered: CandidateOrder) -> None:
        """Keep the changes after which the document's risk is lower, lowest first."""
        bench.show("reading the risk after each change")
        likely = ordered.found[: min(_SUGGESTED_FROM, bench.executions_left)]
        before = document_risk(await bench.risk())
        risks = await bench.model.risks([candidate.text for candidate in likely], bench.request.language_id)
        after = [document_risk(risk) for risk in risks]
        better = sorted((risk, index) for index, risk in enumerate(after) if risk < before)
        await bench.try_all([Proposal(likely[index].text, likely[index].edit.operator) for _, index in better])


def whole_lines(text: str, span: Span) -> Span:
    """A span grown to the ends of its lines."""
    lines = LineIndex(text)
    return Span(lines.start(lines.line_of(span.start)), lines.end(lines.line_of(max(span.start, span.end - 1))))
