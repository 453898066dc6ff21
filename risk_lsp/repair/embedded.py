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
    spans = [candidate.edit.span for candidate in found]
    first_lines = [lines.line_of(span.start) for span in spans]
    last_lines = [lines.line_of(max(span.start, span.end - 1)) for span in spans]
    line_starts = [lines.start(line) for line in first_lines]
    starts, ends = np.array(spans, dtype=np.int64).reshape(-1, 2).T
    # An insertion has no tokens of its own: the one before it and the one behind it count.
    wide_starts = np.where(starts == ends, np.maximum(starts - 1, 0), starts)
    wide_ends = np.where(starts == ends, np.minimum(ends + 1, len(text)), ends)
    tokens = risk.token_probabilities()
    firsts = np.searchsorted(risk.ends, wide_starts, side="right")
    lasts = np.searchsorted(risk.starts, wide_ends, side="left")
    columns = np.zeros((len(found), len(FEATURES)))
    columns[:, 0] = [tokens[first:end].max(initial=0.0) for first, end in zip(firsts, lasts, strict=True)]
    columns[:, 1] = risk.probabilities(wide_starts, wide_ends)
    columns[:, 2] = risk.probabilities(line_starts, [lines.content_end(line) for line in first_lines])
    columns[:, :3] = np.log(np.maximum(columns[:, :3], _LEAST))
    columns[:, 3] = np.clip(preferences, -_FARTHEST_PREFERENCE, _FARTHEST_PREFERENCE / 2) / 4
    columns[:, 4] = preferences != 0
    for row, (first, end) in enumerate(zip(first_lines, last_lines, strict=True)):
        # The highest suspicion, whether any line ran in what failed, whether an exception came from any.
        touched = range(first, end + 1)
        suspicion = max((evidence.suspicion.get(line, 0.0) for line in touched), default=0.0)
        columns[row, 5:8] = suspicion, suspicion > 0, any(line in evidence.error_lines for line in touched)
    columns[:, 8] = np.log1p(ends - starts)
    columns[:, 9] = [np.log1p(len(candidate.edit.replacement)) for candidate in found]
    columns[:, 10] = [np.log(kinds[candidate.edit.operator]) for candidate in found]
    columns[:, 11] = [
        lines.slice(start, span.start + 6).lstrip().startswith("return")
        for start, span in zip(line_starts, spans, strict=True)
    ]
    return columns


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
        region = request.span
        if region is not None:  # the whole lines that it touches
            lines = LineIndex(text)
            last = lines.line_of(max(region.start, region.end - 1))
            region = Span(lines.start(lines.line_of(region.start)), lines.end(last))
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
