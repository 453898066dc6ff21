"""The child's side: what it answers, and that it never outlives its connection."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from risk_lsp.worker.messages import Message, pack, read_message

CHILD = Path(__file__).with_name("worker_child.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
PATIENCE = 20


class Child:
    """A worker process, spoken to directly."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.process = process
        self.stdin = process.stdin
        self.stdout = process.stdout

    def send(self, kind: str, **fields: object) -> None:
        self.stdin.write(pack(Message(kind, fields)))
        self.stdin.flush()

    def score(self, request_id: int, text: str) -> None:
        self.send("score", id=request_id, text=text, language_id="python", at=0)

    def receive(self) -> Message:
        message = read_message(self.stdout)
        assert message is not None
        return message

    def ends_with(self) -> int:
        return self.process.wait(PATIENCE)


@pytest.fixture
def child() -> Iterator[Child]:
    """A worker that was told to load; killed at the end."""
    command = [sys.executable, str(CHILD), "serve"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    ) as process:
        child = Child(process)
        watchdog = threading.Timer(PATIENCE, process.kill)
        watchdog.start()
        child.send("load", options={})
        yield child
        watchdog.cancel()
        process.kill()


def test_it_says_what_it_loaded(child: Child) -> None:
    message = child.receive()

    assert message.kind == "ready"
    assert message.fields["description"]["pid"] == child.process.pid


def test_a_request_that_is_cancelled_before_its_turn_is_not_computed(child: Child) -> None:
    child.receive()

    # In this order, so that the cancellation is known whenever the worker gets to the request.
    child.send("cancel", id=2)
    child.score(1, "a")
    child.score(2, "kill")
    child.score(3, "ab")

    answers = [child.receive() for _ in range(3)]
    assert [(answer.kind, answer.fields["id"]) for answer in answers] == [("result", 1), ("error", 2), ("result", 3)]


def end_of_input(child: Child) -> None:
    child.stdin.close()


def shutdown(child: Child) -> None:
    child.send("shutdown")


@pytest.mark.parametrize("end", [end_of_input, shutdown])
def test_it_ends_at_once_even_in_the_middle_of_a_computation(child: Child, end: Callable[[Child], None]) -> None:
    child.receive()
    child.score(1, "hang")

    end(child)

    assert child.ends_with() == 0


def test_it_ends_quietly_when_nobody_reads_its_answers(child: Child) -> None:
    child.receive()
    child.stdout.close()

    child.score(1, "ab")

    assert child.ends_with() == 1


def test_it_ends_on_something_that_is_no_message(child: Child) -> None:
    child.receive()

    child.stdin.write(b"Content-Length: 2\r\n\r\n{}")
    child.stdin.flush()

    assert child.ends_with() == 1


def test_it_ends_when_its_parent_is_gone_though_its_input_is_still_open() -> None:
    program = "import subprocess, sys; subprocess.Popen([sys.executable, *sys.argv[1:]]).wait()"
    command = [sys.executable, "-c", program, str(CHILD), "serve"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    ) as parent:
        assert parent.stdin is not None and parent.stdout is not None
        parent.stdin.write(pack(Message("load", {"options": {}})))
        parent.stdin.flush()
        assert read_message(parent.stdout) is not None

        parent.kill()

        assert parent.stdout.read() == b""  # ends only when the worker, too, has closed it


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks glibc, and reads /proc")
def test_memory_of_a_large_answer_goes_back_once_it_is_quiet(child: Child) -> None:
    child.receive()
    before = _resident(child)
    # Freed memory below a block that is still in use stays with the process until it is given back.
    child.score(1, "keep 200")
    child.receive()
    used = _resident(child)

    assert used > before + (150 << 20)
    assert _wait_for(lambda: _resident(child) < before + (50 << 20))


def _resident(child: Child) -> int:
    """Bytes of memory that the worker takes up."""
    pages = int(Path(f"/proc/{child.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _wait_for(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE / 2
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()
