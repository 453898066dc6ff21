"""A repair from beginning to end, with the embedded default and real tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from risk_lsp.errors import RepairError, WorkerError
from risk_lsp.repair.embedded import EmbeddedProvider
from risk_lsp.repair.model_questions import WorkerModel
from risk_lsp.repair.orchestration import CAVEAT, repair
from risk_lsp.repair.test_plan import TestPlan, find_tests
from risk_lsp.repair.tree import RepairTree, TreeStore
from risk_lsp.repair.workbench import Budget, RepairRequest, SearchProgress
from risk_lsp.risk.span_risk import WORKER_COMMAND
from risk_lsp.text.document import Span
from risk_lsp.worker.messages import ScoredArrays
from risk_lsp.worker.supervisor import Supervisor, WorkerState
from tests.repair.models import FIXED_SUM, SUM
from tests.sandbox.processes import descendants

REQUEST = RepairRequest(SUM, name="sums.py")
HOPELESS = SUM.replace("    3\n", "    'three'\n")


def doctests(folder: Path, text: str = SUM) -> TestPlan:
    path = folder / "sums.py"
    path.write_text(text)
    plan = find_tests(path, text)
    assert plan is not None
    return plan


def saved(store: TreeStore) -> RepairTree:
    tree = store.load()
    assert tree is not None
    return tree


@pytest.mark.usefixtures("sandboxed")
class TestWithTests:
    async def test_the_smallest_change_that_passes_is_offered(self, tmp_path: Path, model: WorkerModel) -> None:
        result = await repair(REQUEST, model, EmbeddedProvider(), tests=doctests(tmp_path))

        assert result.status == "repaired"
        assert result.offers[0].text == FIXED_SUM
        assert result.offers[0].verdict is not None
        assert result.offers[0].verdict.passed
        assert [(SUM[edit.start : edit.end], edit.text) for edit in result.offers[0].edits] == [("1", "0")]

    async def test_nothing_is_written(self, tmp_path: Path, model: WorkerModel) -> None:
        tests = doctests(tmp_path)
        await repair(REQUEST, model, EmbeddedProvider(), tests=tests)

        assert (tmp_path / "sums.py").read_text() == SUM
        assert [path.name for path in tmp_path.iterdir()] == ["sums.py"]

    async def test_risks_before_and_after_are_told(self, tmp_path: Path, model: WorkerModel) -> None:
        at = SUM.index("total = 1")
        request = RepairRequest(SUM, span=Span(at, at + 9))
        result = await repair(request, model, EmbeddedProvider(), tests=doctests(tmp_path))

        (risk,) = await model.risks([FIXED_SUM], "python")
        assert result.offers[0].risk_after == risk.probability(0, len(FIXED_SUM))
        assert result.offers[0].span_risk_after == risk.probability(at, at + 9)

    async def test_a_program_that_passes_needs_no_repair(self, tmp_path: Path, model: WorkerModel) -> None:
        request = RepairRequest(FIXED_SUM)
        result = await repair(request, model, EmbeddedProvider(), tests=doctests(tmp_path, FIXED_SUM))

        assert (result.status, result.offers) == ("passing", ())
        assert result.hint

    async def test_the_budget_of_executions_holds(self, tmp_path: Path, model: WorkerModel) -> None:
        request = RepairRequest(HOPELESS, budget=Budget(executions=7))
        result = await repair(request, model, EmbeddedProvider(), tests=doctests(tmp_path, HOPELESS))

        assert (result.status, result.cost.executions) == ("not found", 7)
        assert "7 runs" in result.hint

    async def test_the_record_tells_each_program_and_its_verdict(self, tmp_path: Path, model: WorkerModel) -> None:
        store = TreeStore(tmp_path / "tree.json")
        result = await repair(REQUEST, model, EmbeddedProvider(), tests=doctests(tmp_path), store=store)

        tree = saved(store)
        assert tree == result.tree
        assert [node.verdict is not None for node in tree.programs] == [True] * len(tree.programs)
        assert FIXED_SUM in {tree.text_of(node) for node in tree.programs if node.verdict and node.verdict.passed}

    async def test_a_repair_goes_on_from_its_record(self, tmp_path: Path, model: WorkerModel) -> None:
        store = TreeStore(tmp_path / "tree.json")
        tests = doctests(tmp_path, HOPELESS)
        first = RepairRequest(HOPELESS, budget=Budget(executions=6))
        await repair(first, model, EmbeddedProvider(), tests=tests, store=store)
        before = [saved(store).text_of(node) for node in saved(store).programs]

        longer = RepairRequest(HOPELESS, budget=Budget(executions=12))
        await repair(longer, model, EmbeddedProvider(), tests=tests, store=store)

        after = [saved(store).text_of(node) for node in saved(store).programs]
        assert after[: len(before)] == before
        assert len(after) == len(set(after)) == 11

    async def test_what_passed_before_is_offered_again_without_a_search(
        self, tmp_path: Path, model: WorkerModel
    ) -> None:
        store = TreeStore(tmp_path / "tree.json")
        first = await repair(REQUEST, model, EmbeddedProvider(), tests=doctests(tmp_path), store=store)

        second = await repair(REQUEST, model, EmbeddedProvider(), tests=doctests(tmp_path), store=store)

        assert second.offers == first.offers
        assert len(second.tree.nodes) == len(first.tree.nodes)

    async def test_a_store_that_is_not_to_be_resumed_starts_anew(self, tmp_path: Path, model: WorkerModel) -> None:
        store = TreeStore.in_folder(tmp_path / "trees", REQUEST)
        first = await repair(REQUEST, model, EmbeddedProvider(), tests=doctests(tmp_path), store=store)

        second = await repair(REQUEST, model, EmbeddedProvider(), tests=doctests(tmp_path), store=store)

        assert second.cost.executions == first.cost.executions

    async def test_cancelled_half_way_it_leaves_no_process_and_a_whole_record(
        self, tmp_path: Path, model: WorkerModel
    ) -> None:
        before = descendants()
        store = TreeStore(tmp_path / "tree.json")
        begun = asyncio.Event()

        def see(progress: SearchProgress) -> None:
            if progress.stage == "running the tests" and progress.spent.executions > 1:
                begun.set()

        task = asyncio.create_task(
            repair(
                RepairRequest(HOPELESS),
                model,
                EmbeddedProvider(),
                tests=doctests(tmp_path, HOPELESS),
                store=store,
                on_progress=see,
            )
        )
        await asyncio.wait_for(begun.wait(), 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 20)

        assert descendants() == before
        assert saved(store).programs
        assert (tmp_path / "sums.py").read_text() == HOPELESS

    @pytest.mark.parametrize(
        ("stage", "number", "least"), [("risks", 1, 0), ("infill", 1, 1), ("preferences", 1, 1), ("risks", 2, 2)]
    )
    async def test_a_worker_that_dies_over_any_question_ends_it_with_a_readable_record(
        self, tmp_path: Path, stage: str, number: int, least: int
    ) -> None:
        supervisor = Supervisor({"bundle": "default", "threads": 1}, command=WORKER_COMMAND)
        await supervisor.start()
        await supervisor.score(SUM, "python")
        store = TreeStore(tmp_path / "tree.json")
        asked: list[str] = []

        async def ask(question: str, parameters: dict[str, Any]) -> ScoredArrays:
            asked.append(question)
            if question != stage or asked.count(stage) != number:
                return await supervisor.ask(question, parameters)
            (worker,) = workers()
            os.kill(worker, signal.SIGSTOP)  # it can have no answer before it is killed
            answer = asyncio.ensure_future(supervisor.ask(question, parameters))
            while supervisor.state is not WorkerState.BUSY:
                await asyncio.sleep(0)
            os.kill(worker, signal.SIGKILL)
            return await answer

        with pytest.raises(WorkerError) as caught:
            await repair(REQUEST, WorkerModel(ask), EmbeddedProvider(), tests=doctests(tmp_path), store=store)
        await supervisor.stop()

        assert caught.value.hint
        tree = store.load()
        assert least <= (0 if tree is None else len(tree.programs))
        assert (tmp_path / "sums.py").read_text() == SUM

    @pytest.mark.parametrize("stage", ["plain run", "watched run", "screening", "confirmation"])
    async def test_a_sandbox_that_dies_at_any_stage_leaves_the_text_and_a_readable_record(
        self, tmp_path: Path, model: WorkerModel, stage: str
    ) -> None:
        plan = doctests(tmp_path, SLEEPY)
        tests = MortalTests(plan.kind, plan.command, plan.root, plan.place, stage=stage)
        store = TreeStore(tmp_path / "tree.json")
        at = SLEEPY.index("total = 1")
        request = RepairRequest(SLEEPY, span=Span(at, at + 9), budget=Budget(executions=12))

        result = await repair(request, model, EmbeddedProvider(infills=False), tests=tests, store=store)

        assert tests.killed, "nothing was killed"
        assert saved(store) == result.tree
        assert (tmp_path / "sums.py").read_text() == SLEEPY
        assert [offer.text for offer in result.offers] in ([], [SLEEPY.replace("total = 1", "total = 0")])
        assert result.hint

    async def test_what_a_dying_sandbox_did_not_confirm_is_not_offered(
        self, tmp_path: Path, model: WorkerModel
    ) -> None:
        plan = doctests(tmp_path, SLEEPY)
        tests = MortalTests(plan.kind, plan.command, plan.root, plan.place, stage="confirmation")
        at = SLEEPY.index("total = 1")
        request = RepairRequest(SLEEPY, span=Span(at, at + 9))

        result = await repair(request, model, EmbeddedProvider(infills=False), tests=tests)

        assert any(node.verdict and node.verdict.passed for node in result.tree.programs)
        assert result.offers == ()


EXAMPLE = "    >>> add_all([1, 2])"
SLEEPY = SUM.replace(EXAMPLE, f"    >>> import os\n    >>> _ = os.system('sleep 0.4')\n{EXAMPLE}")


@dataclass(frozen=True)
class MortalTests(TestPlan):
    """Tests whose sandbox is killed, with all that is in it, once a program sleeps that is run in one stage.

    What ran before, such as a host that other tests share, is spared.
    """

    stage: str = ""
    spared: set[int] = field(default_factory=descendants)
    runs: list[str] = field(default_factory=list)
    killers: list[Thread] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)

    def script(self, program: str) -> str:
        """The first one is run plainly, others are screened, and what passes is confirmed at last."""
        again = program in self.runs[1:]
        self.runs.append(program)
        self._reach("plain run" if len(self.runs) == 1 else "confirmation" if again else "screening")
        return super().script(program)

    def watching_script(self, program: str) -> str | None:
        """What is known of a failure is asked for once more."""
        self._reach("watched run")
        return super().watching_script(program)

    def _reach(self, stage: str) -> None:
        if stage == self.stage and not self.killers:
            self.killers.append(Thread(target=self._kill, daemon=True))
            self.killers[0].start()

    def _kill(self) -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end and not any(map(sleeps, descendants())):
            time.sleep(0.01)
        for process in descendants() - self.spared:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
                self.killed.append(process)


def sleeps(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().startswith(b"sleep\0")
    except OSError:
        return False


def workers() -> list[int]:
    return [pid for pid in descendants() if b"engine_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


class TestWithoutTests:
    async def test_changes_that_lower_the_risk_are_offered_with_a_caveat(self, model: WorkerModel) -> None:
        result = await repair(REQUEST, model, EmbeddedProvider())

        assert result.status == "suggested"
        assert CAVEAT in result.message
        assert all(offer.verdict is None and offer.risk_after < offer.risk_before for offer in result.offers)

    async def test_no_code_is_run(self, tmp_path: Path, model: WorkerModel) -> None:
        canary = tmp_path / "canary"
        text = f"open({str(canary)!r}, 'w')\n{SUM}"
        await repair(RepairRequest(text), model, EmbeddedProvider())

        assert not canary.exists()

    async def test_changes_stay_in_the_line_that_was_asked_about(self, model: WorkerModel) -> None:
        at = SUM.index("total = 1")
        result = await repair(RepairRequest(SUM, span=Span(at, at + 1)), model, EmbeddedProvider())

        for offer in result.offers:
            assert all(at - 4 <= edit.start and edit.end <= at + 10 for edit in offer.edits)

    async def test_another_language_needs_another_provider(self, model: WorkerModel) -> None:
        with pytest.raises(RepairError, match="does not repair go") as caught:
            await repair(RepairRequest("package a\n", "go"), model, EmbeddedProvider())
        assert caught.value.hint

    async def test_an_empty_document_has_nothing_to_change(self, model: WorkerModel) -> None:
        result = await repair(RepairRequest(""), model, EmbeddedProvider())

        assert result.status == "not found"
        assert result.hint
