"""A team's host in the place of the worker, and a worker on this machine while the host is away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from risk_lsp.errors import RiskError, WorkerError, log_failure
from risk_lsp.worker.messages import PartCallback, ScoredArrays
from risk_lsp.worker.supervisor import LoadInterrupted, SupervisedWorker, Supervisor, WorkerState

if TYPE_CHECKING:
    from risk_lsp.team.remote_worker import RemoteWorker

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_HEALTHY_SECONDS = 20.0  # a host that leaves sooner is not asked again at once


@dataclass(frozen=True)
class RemoteAddress:
    """Where the host is, and how to come by the person's key; `key` may raise a RiskError."""

    url: str
    offline: bool
    key: Callable[[], Awaitable[str | None]]


class HostLost(WorkerError):
    """The team's host is away; a worker on this machine takes over. `message` is a whole sentence for people."""


class TeamSupervisor(SupervisedWorker):
    """A team's host, and a worker on this machine while the host is away.

    While the host is away, a supervisor that `new_local` makes from the options answers. The host is tried again after
    pauses that double up to a minute, each a little shorter or longer so that the editors of a team do not come at the
    same time. `remark` says that the host is away, None while it answers.
    """

    def __init__(
        self, options: dict[str, Any], remote: RemoteAddress, new_local: Callable[[dict[str, Any]], Supervisor]
    ) -> None:
        super().__init__(options)
        self._address = remote
        self._new_local = new_local
        self.remark: str | None = None
        self._remote: RemoteWorker | None = None
        self._local: Supervisor | None = None
        self._lost: asyncio.Queue[RiskError] = asyncio.Queue()  # why the host was left
        self._asked = 0  # questions at the host
        self._closing: asyncio.Future[None] | None = None

    async def score(
        self,
        text: str,
        language_id: str,
        *,
        at: Callable[[], int] = lambda: 0,
        on_part: PartCallback = lambda _: None,
    ) -> ScoredArrays:
        """As of every worker; raises LoadInterrupted, too, when host and worker take turns: ask again then."""
        return await self._either(
            lambda remote: remote.score(text, language_id, at(), on_part),
            lambda local: local.score(text, language_id, at=at, on_part=on_part),
        )

    async def ask(
        self, question: str, parameters: dict[str, Any], on_part: PartCallback = lambda _: None
    ) -> ScoredArrays:
        """As of every worker; raises LoadInterrupted as `score` does."""
        return await self._either(
            lambda remote: remote.ask(question, parameters, on_part),
            lambda local: local.ask(question, parameters, on_part),
        )

    async def _either(
        self,
        at_host: Callable[[RemoteWorker], Awaitable[ScoredArrays]],
        here: Callable[[Supervisor], Awaitable[ScoredArrays]],
    ) -> ScoredArrays:
        self._check_running()
        remote, local = self._remote, self._local
        if remote is not None:
            self._asked += 1
            self._set_state(WorkerState.BUSY)
            try:
                return await at_host(remote)
            except LoadInterrupted as error:
                self._lose(remote, error)
                raise
            finally:
                self._asked -= 1
                if self._remote is remote and not self._asked:
                    self._set_state(WorkerState.READY)
        if local is None:
            raise LoadInterrupted("the team's host is looked for", "ask again")
        try:
            return await here(local)
        except WorkerError as error:
            if self._local is not local:  # the host is back
                raise LoadInterrupted(error.message, error.hint) from error
            raise

    async def _keep_at_work(self) -> None:
        """Go from the host to the worker and back, as the host leaves and comes."""
        pause, loop = _FIRST_PAUSE, asyncio.get_running_loop()
        try:
            while True:
                try:
                    remote, description = await self._connect()
                except RiskError as error:
                    reason = error
                else:
                    await self._go_remote(remote, description)
                    began = loop.time()
                    reason = await self._lost.get()
                    if loop.time() - began > _HEALTHY_SECONDS:  # it may be there again at once
                        pause = _FIRST_PAUSE
                        continue
                await self._go_local(reason)
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))
                pause = min(2 * pause, _LONGEST_PAUSE)
        except Exception as error:
            log_failure("following the team's host", error)
            self._set_state(WorkerState.FAILED, WorkerError("the team's host cannot be followed", "see the log"))

    async def _connect(self) -> tuple[RemoteWorker, dict[str, Any]]:
        try:
            # The client library takes its time to import, and most people do without.
            from risk_lsp.team.remote_worker import KEY_VARIABLE, RemoteWorker, check_address
        except ModuleNotFoundError as error:
            raise WorkerError(f"remoteHost needs {error.name}", "pip install 'risk-lsp[team]'") from error
        check_address(self._address.url, offline=self._address.offline)
        key = await self._address.key()
        if key is None:
            raise WorkerError(
                "there is no key for the team's host", f"put it into {KEY_VARIABLE}, or see remoteKeyFile"
            )
        remote = RemoteWorker(self._address.url, key)
        try:
            return remote, await remote.describe()
        except BaseException:
            await remote.close()
            raise

    async def _go_local(self, error: RiskError) -> None:
        if self._local is not None:
            return
        self.remark = f"The team's host is not in use: {error}. The model on this machine answers."
        self._set_state(WorkerState.RESTARTING, HostLost(self.remark), always_tell=True)
        self._local = local = self._new_local(self._options)

        def follow(state: WorkerState, failure: WorkerError | None) -> None:
            if self._local is local and state not in (WorkerState.STARTING, WorkerState.STOPPED):
                self.description = local.description
                self._set_state(state, failure, always_tell=failure is not None)

        local.on_change(follow)
        await local.start()

    async def _go_remote(self, remote: RemoteWorker, description: dict[str, Any]) -> None:
        local, self._local = self._local, None
        if local is not None:
            self._set_state(WorkerState.RESTARTING)
            await local.stop()
        self._remote, self.description, self.remark = remote, description, None
        self._set_state(WorkerState.READY)

    def _lose(self, remote: RemoteWorker, error: RiskError) -> None:
        """The host did not answer: who asks from now on waits for the worker."""
        if self._remote is remote:
            self._remote = None
            self._set_state(WorkerState.RESTARTING)  # nothing is said: the host may be there again at once
            self._lost.put_nowait(error)
            self._closing = asyncio.ensure_future(remote.close())

    async def _end(self) -> None:
        self._lost = asyncio.Queue()
        await super()._end()
        remote, self._remote = self._remote, None
        local, self._local = self._local, None
        self.remark = None
        if remote is not None:
            await remote.close()
        if local is not None:
            await local.stop()
