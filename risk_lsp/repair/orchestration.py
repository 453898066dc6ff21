"""One repair from beginning to end: run the tests, let a provider work, accept the smallest change that passes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Protocol

from risk_lsp.errors import RepairError
from risk_lsp.repair.execution import Execution, Tests
from risk_lsp.repair.model_questions import PROMPTS_VERSION, WorkerModel
from risk_lsp.repair.tree import (
    Cost,
    FeedbackNode,
    NodeVerdict,
    ProgramNode,
    RepairTree,
    Task,
    TreeStore,
    replace_spans,
)
from risk_lsp.repair.workbench import (
    Offer,
    RepairRequest,
    RepairResult,
    SearchProgress,
    Workbench,
    changed_lines,
    is_sound,
    replacements_between,
)
from risk_lsp.risk.presentation import document_risk, percent
from risk_lsp.text.document import Span

_OFFERS = 3
CAVEAT = "no tests were run: the change lowers the estimated risk, which does not show that it is right"
CAVEAT_NOT_LOWER = "no tests were run, and the change does not lower the estimated risk: nothing shows that it is right"


class Provider(Protocol):
    """What makes repairs."""

    @property
    def name(self) -> str:
        """What the record calls it."""
        ...

    async def search(self, bench: Workbench) -> None:
        """Hand programs to the workbench until one passes or the budget ends."""
        ...


class TwoProviders:
    """Searches with one provider on half of the budget, and with another if that finds nothing."""

    def __init__(self, first: Provider, second: Provider) -> None:
        self.name = f"{first.name}, then {second.name}"
        self._first = first
        self._second = second

    async def search(self, bench: Workbench) -> None:
        """Raises what the second one raises; what keeps the first from searching does not keep the second."""
        bench.reserve = 0.5
        with suppress(RepairError):
            await self._first.search(bench)
        bench.reserve = 0.0
        if all(node.verdict is not None and not node.verdict.passed for node in bench.tree.programs[1:]):
            await self._second.search(bench)


async def repair(
    request: RepairRequest,
    model: WorkerModel,
    provider: Provider,
    *,
    tests: Tests | None = None,
    store: TreeStore | None = None,
    on_progress: Callable[[SearchProgress], None] | None = None,
) -> RepairResult:
    """Look for a repair of `request.text`; nothing is changed anywhere.

    Cancelling the task ends everything that runs and leaves the tree readable. With a `store` that is to be resumed and
    holds the tree of the same request, what was tried is not tried again: the tests must be the same. Raises
    RepairError, WorkerError or SandboxError.
    """
    async with AsyncExitStack() as stack:
        execution = None if tests is None else await stack.enter_async_context(Execution(tests))
        tree = _tree(request, provider, tests, store)
        bench = Workbench(request, tree, model, execution, store, on_progress or (lambda _: None))
        verdict = await _first_verdict(bench, tests)
        if verdict is not None and verdict.passed:
            message = f"the tests pass as it is: {tests.command if tests else ''}"
            hint = "add a test that shows the fault, or ask without tests"
            return RepairResult("passing", (), message, hint, bench.spent, tree)
        if not any(node.verdict is not None and node.verdict.passed for node in tree.programs):
            await provider.search(bench)
        offers = await _offers(bench)
        await bench.save()
        return _result(bench, offers, tests)


def _tree(request: RepairRequest, provider: Provider, tests: Tests | None, store: TreeStore | None) -> RepairTree:
    span = None if request.span is None else (request.span.start, request.span.end)
    command = "" if tests is None else tests.command
    task = Task(request.name, request.language_id, request.text, request.hint, span, command)
    known = store.load() if store is not None and store.resume else None
    if known is not None and known.nodes and known.task == task:
        return known
    return RepairTree(task, {"provider": provider.name, "prompts": PROMPTS_VERSION})


async def _first_verdict(bench: Workbench, tests: Tests | None) -> NodeVerdict | None:
    bench.show("running the tests" if tests else "reading the risks")
    started = time.monotonic()
    verdict, runs = await bench.examine()
    if verdict is not None and verdict.reason == "ModuleNotFoundError" and "'pytest'" in verdict.failure:
        raise RepairError("pytest is not installed where the tests run", "install it there, or name another command")
    if not bench.tree.nodes:
        risk = document_risk(await bench.risk())
        cost = Cost(executions=runs, seconds=time.monotonic() - started)
        bench.tree.add(ProgramNode(0, None, (), "given", cost, verdict, risk))
        await bench.save()
    return verdict


async def _offers(bench: Workbench) -> list[Offer]:
    """What may be offered, best first: with tests the smallest changes, without tests in the order of the provider."""
    text = bench.request.text
    nodes = [node for node in bench.tree.programs[1:] if node.verdict is None or node.verdict.passed]
    if bench.execution is None:
        chosen = [(node, bench.tree.text_of(node)) for node in nodes]
        sound = [(node, made) for node, made in chosen if is_sound(bench.request, made)]
        return [await _offer(bench, node, made) for node, made in sound[:_OFFERS]]
    offers: list[Offer] = []
    for node in sorted(nodes, key=lambda node: _size(text, bench.tree.text_of(node))):
        made = await _cut_down(bench, bench.tree.text_of(node))
        if is_sound(bench.request, made) and await bench.execution.confirms(made):
            offers.append(await _offer(bench, node, made))
        if len(offers) == _OFFERS:
            break
    return sorted(offers, key=lambda offer: _size(text, offer.text))


async def _cut_down(bench: Workbench, made: str) -> str:
    """The smallest part of a change that passes; its stretches are left out one after the other to find it."""
    text, execution = bench.request.text, bench.execution
    kept = list(replacements_between(text, made))
    assert execution is not None
    for edit in list(kept):
        rest = [other for other in kept if other is not edit]
        if rest and (await execution.passes([replace_spans(text, rest)]))[0]:
            kept = rest
    return replace_spans(text, kept)


async def _offer(bench: Workbench, node: ProgramNode, made: str) -> Offer:
    request = bench.request
    before = await bench.risk()
    (after,) = await bench.model.risks([made], request.language_id)
    edits = replacements_between(request.text, made)
    span = request.span or Span(0, len(request.text))
    # Where a span is after edits; a span that an edit touches grows to hold what was put there.
    start = span.start + sum(len(edit.text) - (edit.end - edit.start) for edit in edits if edit.end <= span.start)
    start = min(start, len(made))  # which an edit over the whole span may have left behind
    end = span.end + sum(len(edit.text) - (edit.end - edit.start) for edit in edits if edit.start <= span.end)
    moved = Span(start, max(start, end))
    parent = None if node.parent is None else bench.tree.nodes[node.parent]
    return Offer(
        edits,
        made,
        document_risk(before),
        document_risk(after),
        before.probability(*span),
        after.probability(*moved),
        node.verdict,
        node.source,
        parent if isinstance(parent, FeedbackNode) else None,
    )


def _result(bench: Workbench, offers: list[Offer], tests: Tests | None) -> RepairResult:
    spent, tree = bench.spent, bench.tree
    if not offers:
        return RepairResult("not found", (), *_nothing(bench, tests), spent, tree)
    best = offers[0]
    risks = f"risk of the document {percent(best.risk_before)} before and {percent(best.risk_after)} after"
    if tests is None:
        caveat = CAVEAT if best.risk_after < best.risk_before else CAVEAT_NOT_LOWER
        return RepairResult("suggested", tuple(offers), f"{caveat}; {risks}", "read it with care", spent, tree)
    lines = changed_lines(bench.request.text, best.text)
    message = f"passes {tests.command}; changes {lines} line{'s' if lines != 1 else ''}; {risks}"
    return RepairResult("repaired", tuple(offers), message, "read the change before you accept it", spent, tree)


def _nothing(bench: Workbench, tests: Tests | None) -> tuple[str, str]:
    tried = len(bench.tree.programs) - 1
    budget = bench.request.budget
    if tests is None and bench.spent.seconds >= budget.seconds:
        return f"no change to suggest within {budget.seconds:.0f} s", "allow more time, or add doctests"
    if tests is None:
        return f"none of {tried or 'the'} changes lowers the risk", "add doctests, name tests, or ask another model"
    if tried == 0:
        return "there is nothing here to change", "ask for a larger part of the file"
    if bench.executions_left == 0:
        return (
            f"none of {tried} changes passes the tests",
            f"allow more than {budget.executions} runs, or ask a model with a hint",
        )
    if bench.tokens_left == 0:
        return f"no repair within {budget.tokens} tokens", "allow more tokens, or give a hint"
    if bench.spent.seconds >= budget.seconds:
        return f"no repair within {budget.seconds:.0f} s ({tried} tried)", "allow more time, or name quicker tests"
    return f"none of {tried} changes passes the tests", "ask for a larger part, or ask another model with a hint"


def _size(text: str, made: str) -> tuple[int, int]:
    edits = replacements_between(text, made)
    return changed_lines(text, made), sum(edit.end - edit.start + len(edit.text) for edit in edits)
