"""Running tests: on a copy, in the sandbox, and at an end as soon as asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from risk_lsp.errors import RepairError
from risk_lsp.repair.execution import Execution, ProblemTests
from risk_lsp.repair.test_plan import TestPlan, WorkspaceCopy, find_tests
from risk_lsp.sandbox.verdicts import Problem
from tests.repair.models import FIXED_SUM, SUM
from tests.sandbox.processes import descendants

pytestmark = pytest.mark.usefixtures("sandboxed")

COMMAND = "python -c 'import pkg.sums; assert pkg.sums.add_all([1, 2]) == 3'"


def plan_of(workspace: Path, command: str | None = None) -> TestPlan:
    plan = find_tests(workspace / "pkg" / "sums.py", SUM, workspace=workspace, command=command)
    assert plan is not None
    return plan


def doctests_of(workspace: Path) -> TestPlan:
    plan = find_tests(workspace / "pkg" / "sums.py", SUM)
    assert plan is not None
    return plan


async def test_doctests_tell_input_expected_and_actual(workspace: Path) -> None:
    async with Execution(doctests_of(workspace)) as execution:
        examined = await execution.examine(SUM)

    assert "add_all([1, 2]): got 4, expected 3" in examined.verdict.failure
    assert set(examined.evidence.suspicion) == {8, 9, 10, 11}


async def test_pytest_judges_the_program_in_the_place_of_the_file(workspace: Path) -> None:
    async with Execution(plan_of(workspace)) as execution:
        examined = await execution.examine(SUM)
        verdicts = await execution.passes([SUM, FIXED_SUM])

    assert (examined.verdict.passed, examined.verdict.reason) == (False, "AssertionError")
    assert "assert 4 == 3" in examined.verdict.failure
    assert verdicts == [False, True]


async def test_a_command_judges_by_its_exit_status(workspace: Path) -> None:
    async with Execution(plan_of(workspace, COMMAND)) as execution:
        verdicts = await execution.passes([SUM, FIXED_SUM])
        examined = await execution.examine(SUM)

    assert verdicts == [False, True]
    assert "AssertionError" in examined.verdict.failure


async def test_the_workspace_is_left_as_it_was(workspace: Path) -> None:
    before = {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()}
    plan = plan_of(workspace, f"{COMMAND} ; touch here ; echo x > pkg/sums.py ; rm -rf ../workspace /workspace/*")

    async with Execution(plan) as execution:
        await execution.passes([FIXED_SUM])

    assert {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()} == before


async def test_an_assertion_that_does_not_end_hides_no_other_one() -> None:
    tests = "assert f(0) == 0\nassert f(1) == 2\nassert f(2) == 4\n"
    problem = Problem("t/1", "t", "t/1", "", "f", "append", tests, None, "MIT")
    program = "def f(x):\n    while x == 1: pass\n    return x + 1\n"

    async with Execution(ProblemTests(problem)) as execution:
        examined = await execution.examine(program)

    assert [said for _, said in examined.evidence.failures] == [
        "f(0): got 1, expected 0",
        "f(1): it does not end (from line 2)",
        "f(2): got 3, expected 4",
    ]


async def test_a_slow_test_that_passes_is_a_pass_although_watching_would_stop_it(workspace: Path) -> None:
    slow = "import time\nend = time.process_time() + 1\ndef test_slow():\n    while time.process_time() < end: pass\n"
    (workspace / "tests" / "test_sums.py").write_text(f"from pkg.sums import add_all\n{slow}")

    async with Execution(plan_of(workspace)) as execution:
        examined = await execution.examine(SUM)

    assert (examined.verdict.passed, examined.runs) == (True, 1)


async def test_a_program_that_passes_has_no_failure(workspace: Path) -> None:
    async with Execution(doctests_of(workspace)) as execution:
        examined = await execution.examine(FIXED_SUM)

    assert (examined.verdict.passed, examined.verdict.failure) == (True, "")


async def test_cancelling_ends_every_process_of_the_tests(workspace: Path) -> None:
    before = descendants()
    plan = plan_of(workspace, "sleep 1000")
    begun = asyncio.Event()

    async def run() -> None:
        async with Execution(plan) as execution:
            begun.set()
            await execution.examine(SUM)

    task = asyncio.create_task(run())
    await begun.wait()
    while not descendants() - before:  # until the sandbox is there
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 20)

    assert descendants() - before == set()


async def test_a_copy_leaves_out_what_no_test_needs(workspace: Path) -> None:
    (workspace / ".env").write_text("KEY=secret")
    (workspace / ".git").mkdir()
    (workspace / ".git" / "config").write_text("")
    (workspace / "link").symlink_to("/etc/passwd")
    (workspace / "env").mkdir()

    with WorkspaceCopy(workspace) as copy:
        names = {path.relative_to(copy.folder).as_posix() for path in copy.folder.rglob("*") if path.is_file()}
        place = copy.folder

    assert names == {"pkg/__init__.py", "pkg/sums.py", "tests/test_sums.py", "tests/test_other.py"}
    assert not place.exists()


def test_a_workspace_that_is_too_large_is_not_copied(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_lsp.repair.test_plan._FILES_AT_MOST", 3)

    with pytest.raises(RepairError, match="too large"), WorkspaceCopy(workspace):
        pass
