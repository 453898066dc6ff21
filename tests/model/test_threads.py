"""The setting `threads` bounds how many cores numpy's work takes, however it is spread."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from risk_lsp.model.window_runs import Threads


def blas_threads(_: object) -> int:
    """How many threads a matrix product would take now, at most."""
    np.ones((2, 2), np.float32) @ np.ones((2, 2), np.float32)
    return max(int(each["num_threads"]) for each in threadpool_info() if each["user_api"] == "blas")


@pytest.mark.parametrize("count", [1, 2])
def test_one_item_has_the_threads_that_are_allowed(count: int) -> None:
    assert Threads(count).map(blas_threads, [0]) == [count]


@pytest.mark.parametrize("count", [1, 3])
def test_several_items_have_one_thread_each_and_as_many_at_once_as_are_allowed(count: int) -> None:
    working, most, lock = 0, 0, threading.Lock()

    def work(_: int) -> int:
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
        found = blas_threads(None)
        with lock:
            working -= 1
        return found

    assert Threads(count).map(work, range(40)) == [1] * 40
    assert 1 <= most <= count


def test_the_limit_is_lifted_behind_the_work() -> None:
    before = blas_threads(None)
    Threads(1).map(blas_threads, [0])
    assert blas_threads(None) == before
