"""Runs tasks here, in several processes, or on a Ray cluster; what they give comes as it is made, or in their order."""

from __future__ import annotations

import argparse
import atexit
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple, TypeVar

from risk_lsp import __version__
from risk_lsp.errors import BadInput, RiskError, WorkerError, first_line

Task = TypeVar("Task")
Item = TypeVar("Item")
# What a process opens once: gives the function that does a task. It has to be picklable.
Job = Callable[[], AbstractContextManager[Callable[[Task], Iterable[Item]]]]


class TaskOutcome(NamedTuple):
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
    ) -> Iterator[TaskOutcome]:
        """What tasks gave, as it comes. `in_order` says that what comes early has to wait."""


class ThisProcess(TaskPool):
    """One task after the other, here."""

    def outcomes(
        self, job: Job[Task, Item], tasks: Iterable[Task], in_order: bool, say: Callable[[str], None]
    ) -> Iterator[TaskOutcome]:
        """Item by item."""
        with job() as work:
            for number, task in enumerate(tasks):
                for item in work(task):
                    yield TaskOutcome(number, [item], is_last=False)
                yield TaskOutcome(number, [], is_last=True)


class LocalProcesses(TaskPool):
    """So many processes of this machine. They end with the one that started them, however that ends."""

    def __init__(self, count: int) -> None:
        self._count = count

    def outcomes(
        self, job: Job[Task, Item], tasks: Iterable[Task], in_order: bool, say: Callable[[str], None]
    ) -> Iterator[TaskOutcome]:
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


def _receive(connection: Connection) -> TaskOutcome:
    try:
        received: TaskOutcome | RiskError = connection.recv()
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
                    connection.send(TaskOutcome(number, [item], is_last=False))
                connection.send(TaskOutcome(number, [], is_last=True))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except RiskError as error:
        connection.send(error)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def add_ray_argument(parser: argparse.ArgumentParser) -> None:
    """The option that names a cluster."""
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="run on the machines of this Ray cluster, such as auto (docs/cluster.md)"
    )


_RETRIES = 3  # of a task whose process or machine went away
_AHEAD = 2  # tasks for each that can run: a machine that is done finds the next one there
_SPREAD = 4  # how many times that may wait for an earlier task
_LOOK_SECONDS = 2.0
_CONNECT_SECONDS = 10.0


class RayCluster(TaskPool):
    """The machines of a Ray cluster, each with this version of risk-lsp.

    A task takes `cpus` processors and `gpus` GPUs. One whose machine goes away runs again on another one; what was done
    is kept. BadInput where no cluster answers at `address`, which is what `ray.init` takes.
    """

    def __init__(self, address: str, *, cpus: float = 1, gpus: float = 0) -> None:
        self._address = address
        self._cpus = cpus
        self._gpus = gpus

    def outcomes(
        self, job: Job[Task, Item], tasks: Iterable[Task], in_order: bool, say: Callable[[str], None]
    ) -> Iterator[TaskOutcome]:
        """Task by task. There are never more at the cluster than it can run at a time, and as many that wait there."""
        ray = _connect(self._address)
        try:
            remote = ray.remote(num_cpus=self._cpus, num_gpus=self._gpus, max_retries=_RETRIES)(_run_task)
            name, shared = uuid.uuid4().hex, ray.put(job)
            view = _ClusterView(ray, self._cpus, self._gpus, say)
            running: dict[Any, int] = {}
            numbers: deque[int] = deque()  # of tasks that are not known to have ended, oldest first
            waiting = enumerate(tasks)
            following = next(waiting, None)
            while running or following is not None:
                most = _AHEAD * view.look()
                while following is not None and len(running) < most:
                    number, task = following
                    if in_order and numbers and number - numbers[0] >= _SPREAD * most:
                        break
                    running[remote.remote(__version__, name, shared, task)] = number
                    numbers.append(number)
                    following = next(waiting, None)
                done, _ = ray.wait(list(running), timeout=_LOOK_SECONDS)
                for reference in done:
                    number = running.pop(reference)
                    numbers.remove(number)
                    yield TaskOutcome(number, _result(ray, reference), is_last=True)
        finally:
            ray.shutdown()  # which ends what still runs


class _ClusterView:
    """How many tasks the cluster can run at a time; what became of its machines is said."""

    def __init__(self, ray: Any, cpus: float, gpus: float, say: Callable[[str], None]) -> None:
        self._ray, self._cpus, self._gpus, self._say = ray, cpus, gpus, say
        self._known: tuple[int, int] | None = None
        self._looked = -_LOOK_SECONDS

    def look(self) -> int:
        """Tasks at a time, 1 at least: a cluster without machines may get some. Looks every two seconds."""
        if time.monotonic() - self._looked >= _LOOK_SECONDS:
            self._looked = time.monotonic()
            machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            slots = sum(self._slots(machine) for machine in machines)
            if self._known != (len(machines), slots):
                self._known = (len(machines), slots)
                self._say(f"machines: {len(machines)}, tasks at a time: {slots}")
        assert self._known is not None
        return max(1, self._known[1])

    def _slots(self, machine: dict[str, float]) -> int:
        slots = machine.get("CPU", 0) / self._cpus
        return int(min(slots, machine.get("GPU", 0) / self._gpus) if self._gpus else slots)


def _connect(address: str) -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nobody is told that this runs
    try:
        import ray
    except ModuleNotFoundError as error:
        raise BadInput(f"--ray needs {error.name}", "pip install 'risk-lsp[cluster]'") from None
    host, separator, port = address.rpartition(":")
    try:
        if separator and "://" not in address:  # Ray itself waits for minutes
            socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
        ray.init(address=address, log_to_driver=False, logging_level="warning")
    except (OSError, RuntimeError, ValueError) as error:
        raise BadInput(
            f"no Ray cluster answers at {address}: {first_line(error)}",
            "start one with `ray start --head`, on this machine",
        ) from None
    return ray


def _result(ray: Any, reference: Any) -> list[Any]:
    try:
        items: list[Any] = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, RiskError):
            raise error.cause from None
        raise WorkerError(
            f"a task failed on the cluster: {first_line(error.cause)}", "what was done is kept"
        ) from error
    except ray.exceptions.RayError as error:
        raise WorkerError(
            f"a task ended its process {_RETRIES + 1} times: {first_line(error)}", "what was done is kept"
        ) from error
    return items


_opened: dict[str, Callable[[Any], Iterable[Any]]] = {}  # in a process of the cluster: the job that it is at
_closing = ExitStack()


def _run_task(version: str, name: str, job: Job[Any, Any], task: Any) -> list[Any]:
    """Do one task in a process of the cluster, which keeps the job open for the next one."""
    if version != __version__:
        raise BadInput(f"a machine of the cluster has risk-lsp {__version__}", f"install {version} on all of them")
    if name not in _opened:
        _closing.close()
        _opened.clear()
        atexit.register(_closing.close)
        _opened[name] = _closing.enter_context(job())
    return list(_opened[name](task))
