"""Where a provider works: it hands in programs; the workbench runs and records them and keeps the budget."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from risk_lsp.repair.execution import Execution
from risk_lsp.repair.request import RepairRequest, replacements_between
from risk_lsp.repair.tree import Cost, FeedbackNode, NodeVerdict, ProgramNode, RepairTree, TreeStore
from risk_lsp.repair.watching import NO_EVIDENCE, Evidence
from risk_lsp.repair.worker_model import RiskModel
from risk_lsp.risk.span_risk import SpanRisk

_TRIED = NodeVerdict(False, "failed", "")


class SearchProgress(NamedTuple):
    """How far a repair is. stage: such as "running the tests". done: 0 to 1. spent: so far."""

    stage: str
    done: float
    spent: Cost


@dataclass(frozen=True)
class Proposal:
    """A whole program that may be a repair. cost: what it took to make it, before any run."""

    text: str
    source: str
    cost: Cost = field(default_factory=Cost)


class Workbench:
    """One repair under way. The tree is saved after every step: it can be read, and resumed, at any time."""

    def __init__(
        self,
        request: RepairRequest,
        tree: RepairTree,
        model: RiskModel,
        execution: Execution | None,
        store: TreeStore | None,
        on_progress: Callable[[SearchProgress], None],
    ) -> None:
        self.request = request
        self.tree = tree
        self.model = model
        self.execution = execution
        self.evidence: Evidence = NO_EVIDENCE
        self._store = store
        self._on_progress = on_progress
        self._started = time.monotonic()
        self._before = tree.cost.seconds
        self._known = {tree.text_of(node): node for node in tree.programs}
        self._risk: SpanRisk | None = None

    @property
    def root(self) -> ProgramNode:
        """The program as it was given."""
        node = self.tree.nodes[0]
        assert isinstance(node, ProgramNode)
        return node

    @property
    def spent(self) -> Cost:
        """What the whole tree cost, with the time since its last node."""
        return replace(self.tree.cost, seconds=self._before + time.monotonic() - self._started)

    @property
    def executions_left(self) -> int:
        """How many programs may still be run or, without tests, be proposed."""
        used = self.tree.cost.executions if self.execution else len(self.tree.programs) - 1
        return max(0, self.request.budget.executions - used)

    @property
    def tokens_left(self) -> int:
        """How many tokens an asked model may still read and write."""
        return max(0, self.request.budget.tokens - self.tree.cost.tokens)

    @property
    def is_over(self) -> bool:
        """Whether the budget is spent."""
        budget = self.request.budget
        return self.executions_left == 0 or self.tokens_left == 0 or self.spent.seconds >= budget.seconds

    async def risk(self) -> SpanRisk:
        """The risks of the program as it was given."""
        if self._risk is None:
            (self._risk,) = await self.model.risks([self.request.text], self.request.language_id)
        return self._risk

    def show(self, stage: str) -> None:
        """Report a stage, and how far the repair is: the largest of the budget's shares that are spent."""
        spent, budget = self.spent, self.request.budget
        shares = (
            1 - self.executions_left / budget.executions,
            spent.tokens / budget.tokens,
            spent.seconds / budget.seconds,
        )
        self._on_progress(SearchProgress(stage, min(1.0, max(shares)), spent))

    def is_known(self, text: str) -> bool:
        """Whether a program is in the tree already."""
        return text in self._known

    async def examine(self) -> tuple[NodeVerdict | None, int]:
        """The verdict on the program as it was given, None without tests, and how many runs it took."""
        if self.execution is None:
            return None, 0
        examination = await self.execution.examine(self.request.text)
        self.evidence = examination.evidence
        return examination.verdict, examination.runs

    async def try_all(
        self, proposals: Sequence[Proposal], parent: int = 0, *, detailed: bool = False
    ) -> list[ProgramNode]:
        """Run programs, as far as the budget goes, and add them below `parent`. Known programs cost nothing.

        With `detailed` each is run alone and its failure is kept, for feedback on it.
        """
        found = [node for proposal in proposals if (node := self._known.get(proposal.text)) is not None]
        fresh = list({each.text: each for each in proposals if each.text not in self._known}.values())
        fresh = fresh[: self.executions_left]
        if not fresh:
            return found
        started = time.monotonic()
        verdicts = await self._verdicts([proposal.text for proposal in fresh], detailed=detailed)
        seconds = (time.monotonic() - started) / len(fresh)
        for proposal, (verdict, runs) in zip(fresh, verdicts, strict=True):
            cost = proposal.cost + Cost(executions=runs, seconds=seconds)
            edits = replacements_between(self.request.text, proposal.text)
            node = ProgramNode(len(self.tree.nodes), parent, edits, proposal.source, cost, verdict)
            self.tree.add(node)
            self._known[proposal.text] = node
            found.append(node)
        await self.save()
        return found

    async def note(self, text: str, source: str, parent: int, cost: Cost) -> FeedbackNode:
        """Record feedback on the program `parent`."""
        node = FeedbackNode(len(self.tree.nodes), parent, text, source, cost)
        self.tree.add(node)
        await self.save()
        return node

    async def save(self) -> None:
        """Write the tree down, where it is kept."""
        if self._store is not None:
            await asyncio.to_thread(self._store.save, self.tree)

    async def _verdicts(self, texts: list[str], *, detailed: bool) -> list[tuple[NodeVerdict | None, int]]:
        """Verdicts, and how many runs each took."""
        if self.execution is None:
            return [(None, 0)] * len(texts)
        if detailed:
            examined = [await self.execution.examine(text) for text in texts]
            return [(each.verdict, each.runs) for each in examined]
        return [(NodeVerdict(True) if passed else _TRIED, 1) for passed in await self.execution.passes(texts)]
