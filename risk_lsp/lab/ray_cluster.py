"""Runs tasks on the machines of a Ray cluster."""

from __future__ import annotations

import argparse
import atexit
import os
import socket
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from risk_lsp import __version__
from risk_lsp.errors import BadInput, RiskError, WorkerError, first_line
from risk_lsp.lab.task_pool import Item, Job, Outcome, Task, TaskPool


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
    ) -> Iterator[Outcome]:
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
                    yield Outcome(number, _result(ray, reference), is_last=True)
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
