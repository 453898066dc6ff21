"""Runs tasks in this process or in several ones; what they give comes as it is made, or in their order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple, TypeVar

from risk_lsp.errors import RiskError, WorkerError

Task = TypeVar("Task")
Item = TypeVar("Item")
# What a process opens once: gives the function that does a task. It has to be picklable.
Job = Callable[[], AbstractContextManager[Callable[[Task], Iterable[Item]]]]


class Outcome(NamedTuple):
    """What a task gave, or a part of it; the last part says so."""

    task: int
    items: list[Any]
    is_last: bool


class TaskPool(ABC):
    """Where tasks run. A task gives any number of items."""

    def run(
        self,
        job: Job[Task, Item],
        tasks: Iterable[Task],
        *,
        in_order: bool = False,
        say: Callable[[str], None] = lambda _: None,
    ) -> Iterator[Item]:
        """The items of all tasks, as they come or `in_order` of the tasks. `say` hears what a person may want to know.

        A RiskError of a task ends the run; WorkerError where a process ended before its task was done.
        """
        waiting: dict[int, list[Item]] = {}
        ended: set[int] = set()
        first = 0  # of the tasks whose items did not all go out
        for outcome in self.outcomes(job, tasks, in_order, say):
            if not in_order:
                yield from outcome.items
                continue
            waiting.setdefault(outcome.task, []).extend(outcome.items)
            if outcome.is_last:
                ended.add(outcome.task)
            while first in ended:
                ended.remove(first)
                yield from waiting.pop(first)
                first += 1

    @abstractmethod
    def outcomes(
        self, job: Job[Task, Item], tasks: Iterable[Task], in_order: bool, say: Callable[[str], None]
    ) -> Iterator[Outcome]:
        """What tasks gave, as it comes. `in_order` says that what comes early has to wait."""


class ThisProcess(TaskPool):
    """One task after the other, here."""

    def outcomes(
        self, job: Job[Task, Item], tasks: Iterable[Task], in_order: bool, say: Callable[[str], None]
    ) -> Iterator[Outcome]:
        """Item by item."""
        with job() as work:
            for number, task in enumerate(tasks):
                for item in work(task):
                    yield Outcome(number, [item], is_last=False)
                yield Outcome(number, [], is_last=True)


class LocalProcesses(TaskPool):
    """So many processes of this machine. They end with the one that started them, however that ends."""

    def __init__(self, count: int) -> None:
        self._count = count

    def outcomes(
        self, job: Job[Task, Item], tasks: Iterable[Task], in_order: bool, say: Callable[[str], None]
    ) -> Iterator[Outcome]:
        """Item by item: what a task gave before an end is not lost."""
        # Not forked: a fork would keep the other workers' pipes open, and they would outlive this process.
        context = multiprocessing.get_context("spawn")
        running: dict[Connection, BaseProcess] = {}
        process: BaseProcess
        waiting = enumerate(tasks)
        try:
            for task in waiting:
                own, other = context.Pipe()
                process = context.Process(target=_serve_tasks, args=(other, job), daemon=True)
                process.start()
                other.close()
                own.send(task)
                running[own] = process
                if len(running) == self._count:
                    break
            while running:
                for connection in wait(list(running)):
                    assert isinstance(connection, Connection)
                    outcome = _receive(connection)
                    yield outcome
                    if not outcome.is_last:
                        continue
                    if (following := next(waiting, None)) is not None:
                        connection.send(following)
                    else:
                        connection.close()
                        running.pop(connection).join()
        finally:
            for process in running.values():
                process.terminate()
                process.join()


def _receive(connection: Connection) -> Outcome:
    try:
        received: Outcome | RiskError = connection.recv()
    except EOFError:
        raise WorkerError(
            "a worker process ended before its work was done", "see its error above; what was found so far is kept"
        ) from None
    if isinstance(received, RiskError):
        raise received
    return received


def _serve_tasks(connection: Connection, job: Job[Any, Any]) -> None:
    """Take numbered tasks from the connection until it ends; answer each by its items one by one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one ends the work
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what the job opened is closed
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with job() as work:
            while True:
                number, task = connection.recv()
                for item in work(task):
                    connection.send(Outcome(number, [item], is_last=False))
                connection.send(Outcome(number, [], is_last=True))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except RiskError as error:
        connection.send(error)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
