"""The supervisor keeps a real worker process alive, whatever that process does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from risk_lsp.errors import BadInput, WorkerError
from risk_lsp.worker.supervisor import Supervisor, Timings, WorkerState

CHILD = Path(__file__).with_name("worker_child.py")
RUN = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
QUICK = Timings(backoff=0.01, longest_backoff=0.05)


def child_command(mode: str) -> tuple[str, ...]:
    return (sys.executable, "-c", RUN, str(CHILD), mode)


class Watched:
    """A supervisor whose states are recorded and can be awaited."""

    def __init__(self, options: dict[str, Any], mode: str, timings: Timings) -> None:
        self.supervisor = Supervisor(options, command=child_command(mode), timings=timings)
        self.states: list[WorkerState] = []
        self._changed = asyncio.Event()
        self.supervisor.on_change(self._record)

    def _record(self, state: WorkerState, _failure: WorkerError | None) -> None:
        self.states.append(state)
        self._changed.set()

    async def reaches(self, state: WorkerState, *, times: int = 1) -> None:
        """Wait until the state was reached that often, from the very start."""
        while self.states.count(state) < times:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 20)


Start = Callable[..., Any]


@pytest_asyncio.fixture
async def start() -> AsyncIterator[Start]:
    """Start a supervisor over the test's worker; it is stopped at the end."""
    started: list[Watched] = []

    async def begin(options: dict[str, Any] | None = None, *, mode: str = "serve", timings: Timings = QUICK) -> Watched:
        watched = Watched(options or {}, mode, timings)
        started.append(watched)
        await watched.supervisor.start()
        return watched

    yield begin
    for watched in started:
        await watched.supervisor.stop()


@pytest.fixture
def fifo(tmp_path: Path) -> Callable[[str], Path]:
    """Make a named pipe."""

    def make(name: str) -> Path:
        os.mkfifo(tmp_path / name)
        return tmp_path / name

    return make


async def until_closed(path: Path, opened: asyncio.Event) -> None:
    """Open a fifo for reading (which sets `opened`) and wait until nobody holds it open for writing any more."""

    def read(file: Any) -> None:
        with file:
            file.read()

    file = await asyncio.to_thread(open, path, "rb")
    opened.set()
    await asyncio.wait_for(asyncio.to_thread(read, file), 20)


async def test_a_text_sent_before_the_worker_is_ready_is_scored_once_it_is(start: Start) -> None:
    watched = await start({"name": "counter"})

    header, arrays = await watched.supervisor.score("añ😀", "python")

    assert header == {"length": 3, "language": "python", "name": "counter"}
    np.testing.assert_array_equal(arrays["codes"], [0x61, 0xF1, 0x1F600])
    assert arrays["halves"].dtype == np.float32
    assert watched.states == [WorkerState.STARTING, WorkerState.READY, WorkerState.BUSY, WorkerState.READY]
    assert watched.supervisor.description["name"] == "counter"


async def test_lone_surrogates_reach_the_worker_unchanged(start: Start) -> None:
    watched = await start()

    _, arrays = await watched.supervisor.score("\ud800x", "python")

    assert arrays["codes"].tolist() == [0xD800, 0x78]


async def test_texts_sent_together_are_all_answered_with_their_own_result(start: Start) -> None:
    watched = await start()

    results = await asyncio.gather(*(watched.supervisor.score("a" * count, "python") for count in range(20)))

    assert [result.header["length"] for result in results] == list(range(20))


async def test_other_questions_are_answered_in_their_turn(start: Start) -> None:
    watched = await start()

    scored, asked = await asyncio.gather(
        watched.supervisor.score("abc", "python"), watched.supervisor.ask("length", {"text": "abcd"})
    )

    assert (scored.header["length"], asked.header) == (3, {"length": 4})


async def test_a_question_that_the_worker_does_not_know_is_refused(start: Start) -> None:
    watched = await start()

    with pytest.raises(BadInput, match="no question colour"):
        await watched.supervisor.ask("colour", {})
    assert (await watched.supervisor.score("ab", "python")).header["length"] == 2


async def test_a_text_of_two_megabytes_and_its_arrays_pass(start: Start) -> None:
    watched = await start()

    result = await watched.supervisor.score("é" * 2_000_000, "python")

    assert len(result.arrays["codes"]) == 2_000_000


async def test_a_worker_killed_over_a_text_fails_that_text_and_is_restarted(start: Start) -> None:
    watched = await start()

    with pytest.raises(WorkerError, match="killed"):
        await watched.supervisor.score("kill", "python")

    assert (await watched.supervisor.score("ab", "python")).header["length"] == 2
    assert WorkerState.RESTARTING in watched.states


async def test_texts_behind_the_one_that_killed_the_worker_are_still_scored(start: Start) -> None:
    watched = await start()

    behind = asyncio.ensure_future(watched.supervisor.score("ab", "python"))
    deadly = asyncio.ensure_future(watched.supervisor.score("kill", "python"))

    assert (await behind).header["length"] == 2
    assert isinstance(deadly.exception(), WorkerError)


async def test_of_the_texts_that_wait_the_newest_is_scored_first(start: Start) -> None:
    watched = await start()
    ended: list[str] = []

    async def score(text: str) -> None:
        await watched.supervisor.score(text, "python")
        ended.append(text)

    await asyncio.gather(*map(score, ("first", "second", "third")))

    assert ended == ["third", "second", "first"]


async def test_an_idle_worker_that_dies_is_restarted(start: Start) -> None:
    watched = await start()
    await watched.reaches(WorkerState.READY)

    os.kill(watched.supervisor.description["pid"], signal.SIGKILL)

    await watched.reaches(WorkerState.READY, times=2)
    assert watched.states == [WorkerState.STARTING, WorkerState.READY, WorkerState.RESTARTING, WorkerState.READY]


@pytest.mark.parametrize(("mode", "reason"), [("dies at start", "ended with status 3"), ("writes garbage", "garbled")])
async def test_a_worker_that_never_gets_ready_fails_the_waiting_and_is_tried_again(
    start: Start, mode: str, reason: str
) -> None:
    watched = await start(mode=mode)

    with pytest.raises(WorkerError, match=reason):
        await watched.supervisor.score("ab", "python")
    with pytest.raises(WorkerError, match=reason):
        await watched.supervisor.score("ab", "python")

    assert watched.supervisor.state is WorkerState.RESTARTING


async def test_a_worker_that_hangs_over_a_text_is_killed_and_restarted(start: Start) -> None:
    watched = await start(timings=Timings(request=0.2, backoff=0.01))

    with pytest.raises(WorkerError, match="took longer"):
        await watched.supervisor.score("hang", "python")

    assert (await watched.supervisor.score("ab", "python")).header["length"] == 2


async def test_a_refusal_to_load_is_told_with_its_hint_and_not_tried_again(start: Start) -> None:
    watched = await start({"refuse": True})

    with pytest.raises(WorkerError) as caught:
        await watched.supervisor.score("ab", "python")

    assert (caught.value.message, caught.value.hint) == ("there is no such model", "name another")
    assert watched.states == [WorkerState.STARTING, WorkerState.FAILED]
    with pytest.raises(WorkerError, match="no such model"):
        await watched.supervisor.score("ab", "python")


async def test_new_options_bring_a_failed_worker_back(start: Start) -> None:
    watched = await start({"refuse": True})
    await watched.reaches(WorkerState.FAILED)

    await watched.supervisor.restart({"name": "another"})

    assert (await watched.supervisor.score("ab", "python")).header["name"] == "another"
    assert watched.supervisor.failure is None


async def test_a_restart_fails_the_text_in_work_and_keeps_those_that_wait(
    start: Start, fifo: Callable[[str], Path]
) -> None:
    watched = await start({"name": "old"})
    begun, proceed = fifo("begun"), fifo("proceed")
    working = asyncio.ensure_future(watched.supervisor.score(f"wait {begun}|{proceed}", "python"))
    await until_closed(begun, asyncio.Event())
    waiting = asyncio.ensure_future(watched.supervisor.score("ab", "python"))

    await watched.supervisor.restart({"name": "new"})

    with pytest.raises(WorkerError, match="restarted"):
        await working
    assert (await waiting).header["name"] == "new"


async def test_a_text_refused_by_the_scorer_fails_alone(start: Start) -> None:
    watched = await start()

    with pytest.raises(BadInput, match="the text is refused") as caught:
        await watched.supervisor.score("refuse", "python")

    assert caught.value.hint == "write another"
    assert WorkerState.RESTARTING not in watched.states


async def test_an_unexpected_exception_is_told_without_source_text_or_paths(start: Start) -> None:
    watched = await start()

    with pytest.raises(WorkerError, match="ValueError") as caught:
        await watched.supervisor.score("fail password=1234", "python")

    assert "1234" not in str(caught.value) and "secret" not in str(caught.value)


async def test_stray_prints_and_reads_do_not_disturb_the_protocol(start: Start) -> None:
    watched = await start()

    assert (await watched.supervisor.score("print", "python")).header["length"] == 5


async def test_what_the_worker_prints_is_logged_up_to_a_bound_and_never_blocks_it(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="risk_lsp")  # a server in this process sets it too
    watched = await start()

    await watched.supervisor.score("stderr", "python")

    assert 0 < len(caplog.records) < 300


async def test_a_cancelled_text_that_still_waits_is_never_sent(start: Start, fifo: Callable[[str], Path]) -> None:
    watched = await start()
    begun, proceed = fifo("begun"), fifo("proceed")
    working = asyncio.ensure_future(watched.supervisor.score(f"wait {begun}|{proceed}", "python"))
    await until_closed(begun, asyncio.Event())
    waiting = asyncio.ensure_future(watched.supervisor.score("kill", "python"))
    await asyncio.sleep(0)  # the text is handed over

    waiting.cancel()
    proceed.write_bytes(b"")

    assert (await working).header["length"] > 0
    assert (await watched.supervisor.score("ab", "python")).header["length"] == 2
    assert WorkerState.RESTARTING not in watched.states


async def test_a_text_cancelled_in_work_does_not_disturb_the_next(start: Start, fifo: Callable[[str], Path]) -> None:
    watched = await start()
    begun, proceed = fifo("begun"), fifo("proceed")
    working = asyncio.ensure_future(watched.supervisor.score(f"wait {begun}|{proceed}", "python"))
    await until_closed(begun, asyncio.Event())

    working.cancel()
    following = asyncio.ensure_future(watched.supervisor.score("ab", "python"))
    await asyncio.to_thread(proceed.write_bytes, b"")

    assert (await following).header["length"] == 2
    assert WorkerState.RESTARTING not in watched.states


async def test_stopping_fails_what_waits_and_refuses_what_comes(start: Start) -> None:
    watched = await start()
    await watched.reaches(WorkerState.READY)
    hanging = asyncio.ensure_future(watched.supervisor.score("hang", "python"))
    await watched.reaches(WorkerState.BUSY)

    await watched.supervisor.stop()

    with pytest.raises(WorkerError):
        await hanging
    with pytest.raises(WorkerError, match="not running"):
        await watched.supervisor.score("ab", "python")
    assert watched.supervisor.state is WorkerState.STOPPED


async def test_stopping_ends_a_hanging_worker_and_its_children(start: Start, fifo: Callable[[str], Path]) -> None:
    held_by_child, held_by_grandchild = fifo("child"), fifo("grandchild")
    opened = [asyncio.Event(), asyncio.Event()]
    child_ends = asyncio.ensure_future(until_closed(held_by_child, opened[0]))
    watched = await start({"hold": str(held_by_child)})
    grandchild_ends = asyncio.ensure_future(until_closed(held_by_grandchild, opened[1]))
    await watched.supervisor.score(f"grandchild {held_by_grandchild}", "python")
    await asyncio.wait_for(asyncio.gather(*(event.wait() for event in opened)), 20)
    hanging = asyncio.ensure_future(watched.supervisor.score("hang", "python"))
    await watched.reaches(WorkerState.BUSY, times=2)

    await watched.supervisor.stop()

    await asyncio.gather(child_ends, grandchild_ends)
    with contextlib.suppress(WorkerError):
        await hanging


async def test_the_worker_ends_when_the_server_is_killed(fifo: Callable[[str], Path]) -> None:
    held = fifo("held")
    program = f"""
import asyncio
from risk_lsp.worker.supervisor import Supervisor
async def main():
    supervisor = Supervisor({{"hold": {str(held)!r}}}, command={child_command("serve")!r})
    await supervisor.start()
    await supervisor.score("hang", "python")
asyncio.run(main())
"""
    opened = asyncio.Event()
    worker_ends = asyncio.ensure_future(until_closed(held, opened))
    with subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ) as server:
        await asyncio.wait_for(opened.wait(), 20)
        server.kill()

    await worker_ends


async def test_a_command_that_does_not_exist_is_a_failure_with_its_name() -> None:
    supervisor = Supervisor({}, command=("/nowhere/python",))
    await supervisor.start()

    with pytest.raises(WorkerError, match="/nowhere/python"):
        await supervisor.score("ab", "python")

    assert supervisor.state is WorkerState.FAILED
    await supervisor.stop()
