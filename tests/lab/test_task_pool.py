"""Pools run tasks here or in several processes; what comes of them is the same."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from risk_lsp.errors import BadInput, WorkerError
from risk_lsp.lab.task_pool import LocalProcesses, TaskPool, ThisProcess
from tests.lab.pool_jobs import noted, squares

POOLS = [ThisProcess(), LocalProcesses(1), LocalProcesses(2)]
every_pool = pytest.mark.parametrize("pool", POOLS, ids=["this process", "one process", "two processes"])


@every_pool
def test_each_task_gives_its_items_once(pool: TaskPool, tmp_path: Path) -> None:
    found = list(pool.run(partial(squares, tmp_path), range(1, 9)))

    assert sorted(found) == sorted([*range(1, 9), *(number * number for number in range(1, 9))])
    assert sorted(noted(tmp_path, "done")) == sorted(str(number) for number in range(1, 9))


@every_pool
def test_items_come_in_the_order_of_the_tasks_where_that_is_asked(pool: TaskPool, tmp_path: Path) -> None:
    found = list(pool.run(partial(squares, tmp_path), [5, 3, 4], in_order=True))

    assert found == [5, 25, 3, 9, 4, 16]


@every_pool
def test_no_tasks_give_nothing(pool: TaskPool, tmp_path: Path) -> None:
    assert list(pool.run(partial(squares, tmp_path), [])) == []


@every_pool
def test_the_error_of_a_task_is_the_error_of_the_run(pool: TaskPool, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"-1 is negative \(give another\)"):
        list(pool.run(partial(squares, tmp_path), [1, -1]))


@pytest.mark.parametrize("ends", ["by itself", "early"])
def test_what_a_process_opened_is_closed_at_the_end(tmp_path: Path, ends: str) -> None:
    items = LocalProcesses(1).run(partial(squares, tmp_path), range(1, 400))
    next(items)
    if ends == "by itself":
        list(items)
    items.close()  # type: ignore[attr-defined]

    (process,) = noted(tmp_path, "opened")
    assert noted(tmp_path, "closed") == [process]
    assert not Path("/proc", process).exists()


def test_a_process_that_is_killed_is_named_as_the_reason(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="ended before its work was done"):
        list(LocalProcesses(1).run(partial(squares, tmp_path), [1, 1_000_000]))

    assert noted(tmp_path, "opened") != [str(os.getpid())]
