"""The setting `threads` bounds how many cores the model takes, and so does what else the machine does."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from risk_lsp.model import cores
from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.cores import Threads, free_cores
from risk_lsp.model.decoders.numpy_host import Block
from risk_lsp.model.window_memory import WindowMemory


def blas_threads(_: object) -> int:
    """How many threads a matrix product would take now, at most."""
    np.ones((2, 2), np.float32) @ np.ones((2, 2), np.float32)
    return max(int(each["num_threads"]) for each in threadpool_info() if each["user_api"] == "blas")


@pytest.mark.parametrize("count", [1, 2])
def test_one_item_has_the_threads_that_are_allowed(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "free_cores", lambda: 8)
    assert Threads(count).map(blas_threads, [0]) == [count]


def test_one_item_has_no_more_threads_than_cores_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "free_cores", lambda: 1)
    assert Threads(2).map(blas_threads, [0]) == [1]


def test_what_follows_an_edit_runs_on_the_threads_that_are_allowed(
    model_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "free_cores", lambda: 8)
    model, memory = CodeModel.load(model_folder("Llama"), threads=1), WindowMemory(1 << 20)
    seen, run = [], Block.run

    def noted(self: Block, *given: Any) -> Any:
        seen.append(blas_threads(None))
        return run(self, *given)

    monkeypatch.setattr(Block, "run", noted)
    for text in ("first = 1\n", "first = 1\nsecond = 2\n"):
        model.recall(model.encode(text), [1], memory).read()

    assert set(seen) == {1}


@pytest.mark.skipif(not Path("/proc/loadavg").is_file(), reason="only Linux says how many threads run")
def test_cores_that_other_processes_hold_are_not_free() -> None:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        deadline = time.monotonic() + 20
        while free_cores() > 1 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert free_cores() == 1
    finally:
        for process in busy:
            process.kill()
            process.wait()


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


@pytest.mark.skipif(not Path("/proc/loadavg").is_file(), reason="only Linux says how many threads run")
def test_threads_of_this_process_take_no_core_away_from_it() -> None:
    count, end = 32, threading.Event()

    def work() -> None:
        while not end.is_set():
            hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000)  # without the interpreter's lock

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.5)
        assert cores._FreeCores()._others() < count
    finally:
        end.set()
        for thread in threads:
            thread.join()
