"""The provider that needs nothing else: edits of the riskiest code in order of probability mass, tests as the judge."""

from __future__ import annotations

import asyncio
import re
import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.repair.candidates import Candidate, candidates, with_infills
from risk_lsp.repair.ranking import RankingWeights, fitted_weights, masses
from risk_lsp.repair.request import RepairError
from risk_lsp.repair.workbench import Proposal, Workbench
from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.risk.views import code_line_risks, document_risk, riskiest_lines
from risk_lsp.text.lines import LineIndex
from risk_lsp.text.spans import Span

_BATCH_SECONDS = 1.5  # so long a batch may take: progress is shown, and cancelling noticed, in between
_MOST_AT_ONCE = 32
_FILLED_LINES = 4
_FILLS = 4
_FILL_TOKENS = 24
_SUGGESTED_FROM = 64
_HEAD = re.compile(r"\s*(?:return |if |elif |while |for [\w, ]+ in |[\w.\[\], ]+ [-+*/]?= )?")


class Ordered(NamedTuple):
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
        ordered = await self.ordered(bench)
        if bench.execution is None:
            await self._suggest(bench, ordered)
        else:
            await self._tried(bench, ordered)

    async def ordered(self, bench: Workbench) -> Ordered:
        """Every candidate, in the order in which they are tried."""
        bench.show("looking for changes")
        request = bench.request
        text, given = request.text, request.given
        risk = await bench.risk()
        region = None if request.span is None else whole_lines(text, request.span)
        found = await asyncio.to_thread(candidates, text, given=given, within=region)
        if self._infills:
            found += await self._filled(bench, risk, region, {candidate.text for candidate in found})
        preferences = await bench.model.preferences(text, [candidate.text for candidate in found])
        mass = masses(text, found, risk, preferences, bench.evidence, self._weights)
        order = np.argsort(-mass, kind="stable")
        return Ordered([found[index] for index in order], mass[order])

    async def _filled(self, bench: Workbench, risk: SpanRisk, region: Span | None, known: set[str]) -> list[Candidate]:
        """What the model would write in the riskiest lines, and behind their first words."""
        request = bench.request
        lines = LineIndex(request.text)
        probabilities = code_line_risks(risk, request.text, request.language_id)
        holes: list[Span] = []
        for line in riskiest_lines(probabilities, lines.count):
            content = Span(lines.start(line), lines.content_end(line))
            inside = region is None or (region.start <= content.start and content.end <= region.end)
            if content.start >= request.given and inside and len(holes) < 2 * _FILLED_LINES:
                holes += _holes(request.text, content)
        bench.show("asking the model what it would write")
        fills = await bench.model.infills(request.text, holes, count=_FILLS, max_tokens=_FILL_TOKENS)
        pairs = [(hole, fill.text) for hole, some in zip(holes, fills, strict=True) for fill in some]
        return await asyncio.to_thread(with_infills, request.text, pairs, known)

    async def _tried(self, bench: Workbench, ordered: Ordered) -> None:
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

    async def _suggest(self, bench: Workbench, ordered: Ordered) -> None:
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


def _holes(text: str, content: Span) -> list[Span]:
    """A line without its indentation, and what stands behind its first words."""
    line = text[content.start : content.end]
    own = content.start + len(line) - len(line.lstrip())
    head = _HEAD.match(line)
    behind = content.start + (head.end() if head else 0)
    return [Span(start, content.end) for start in sorted({own, behind}) if start < content.end]
