"""What is to be repaired and at what cost, and the workbench, which runs and records what a provider makes."""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from risk_lsp.edits.candidates import cuts_code_off
from risk_lsp.errors import BadInput
from risk_lsp.repair.execution import Execution
from risk_lsp.repair.harness import NO_EVIDENCE, Evidence
from risk_lsp.repair.model_questions import WorkerModel
from risk_lsp.repair.tree import Cost, FeedbackNode, NodeVerdict, ProgramNode, RepairTree, Replacement, TreeStore
from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.text.document import Span
from risk_lsp.text.structure import parses
from risk_lsp.text.tracking import difference


@dataclass(frozen=True)
class Budget:
    """Where a repair ends. tokens: read and written by an asked model. executions: programs run against the tests."""

    tokens: int = 20_000
    executions: int = 200
    seconds: float = 120.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                raise BadInput(f"a budget of {value} {name} allows nothing", f"give {name} above zero")


@dataclass(frozen=True)
class RepairRequest:
    """A document and what to repair in it; offsets are code points of `text`.

    span: the part to repair, None for all. hint: what the person says about it. name: for prompts and the record, such
    as the file's name. given: nothing in front of this offset is changed.
    """

    text: str
    language_id: str = "python"
    span: Span | None = None
    hint: str = ""
    name: str = ""
    given: int = 0
    budget: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        span = self.span
        if span is not None and not 0 <= span.start <= span.end <= len(self.text):
            raise BadInput(
                f"the span {span.start}-{span.end} is outside of the text", "ask again for the text as it is"
            )


Status = Literal["repaired", "suggested", "passing", "not found"]
_MOST_WORDS = 600  # characters of a model's words


@dataclass(frozen=True)
class Offer:
    """A change that a person may accept; nothing has applied it.

    edits: in the order of the text; no two touch. text: the document after them. The risks are probabilities, of the
    whole document and of the span that was asked about, before and after. verdict: None where nothing was run.
    feedback: what a model said is wrong before the change was made.
    """

    edits: tuple[Replacement, ...]
    text: str
    risk_before: float
    risk_after: float
    span_risk_before: float
    span_risk_after: float
    verdict: NodeVerdict | None
    source: str
    feedback: FeedbackNode | None = None

    @property
    def words_of_model(self) -> str:
        """What a model said is wrong, in one line that says whose words they are; "" where none did."""
        if self.feedback is None:
            return ""
        words = " ".join(self.feedback.text.split())
        cut = words if len(words) <= _MOST_WORDS else words[: _MOST_WORDS - 3] + "..."
        return f'{self.feedback.source} says: "{cut}"'


@dataclass(frozen=True)
class RepairResult:
    """offers: best first; none unless `status` is "repaired" or "suggested". message, hint: for people."""

    status: Status
    offers: tuple[Offer, ...]
    message: str
    hint: str
    cost: Cost
    tree: RepairTree


def replacements_between(before: str, after: str) -> tuple[Replacement, ...]:
    """The smallest replacements that turn one text into another: one for each run of changed lines, without common
    ends.
    """
    olds, news = before.splitlines(keepends=True), after.splitlines(keepends=True)
    starts = [0]
    for line in olds:
        starts.append(starts[-1] + len(line))
    found = []
    for kind, one, two, three, four in difflib.SequenceMatcher(None, olds, news, autojunk=False).get_opcodes():
        if kind != "equal":
            start, end, _, inserted = difference(before[starts[one] : starts[two]], "".join(news[three:four]))
            found.append(Replacement(starts[one] + start, starts[one] + end, inserted))
    return tuple(found)


def changed_lines(before: str, after: str) -> int:
    """How many lines a change touches: of each stretch that differs, the longer side counts."""
    olds, news = before.splitlines(), after.splitlines()
    codes = difflib.SequenceMatcher(None, olds, news, autojunk=False).get_opcodes()
    return sum(max(two - one, four - three) for kind, one, two, three, four in codes if kind != "equal")


def unified_diff(before: str, after: str, name: str) -> str:
    """A diff that `patch` and git take."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{name}", f"b/{name}"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def is_sound(request: RepairRequest, made: str) -> bool:
    """Whether a program may be offered: it differs from the request's; Python parses and loses no reachable code."""
    if request.language_id == "python" and (not parses(made) or cuts_code_off(request.text, made)):
        return False
    return made != request.text


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
        model: WorkerModel,
        execution: Execution | None,
        store: TreeStore | None,
        on_progress: Callable[[SearchProgress], None],
    ) -> None:
        self.request = request
        self.tree = tree
        self.model = model
        self.execution = execution
        self.evidence: Evidence = NO_EVIDENCE
        self.reserve = 0.0  # the share of executions and seconds that are kept for whoever searches next
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
        return max(0, self.request.budget.executions - round(self.reserve * self.request.budget.executions) - used)

    @property
    def tokens_left(self) -> int:
        """How many tokens an asked model may still read and write."""
        return max(0, self.request.budget.tokens - self.tree.cost.tokens)

    @property
    def is_over(self) -> bool:
        """Whether the budget is spent."""
        budget = self.request.budget
        seconds = (1 - self.reserve) * budget.seconds
        return self.executions_left == 0 or self.tokens_left == 0 or self.spent.seconds >= seconds

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
