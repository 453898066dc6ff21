"""One model that several people ask in turns: a long score lets others go first, short ones may share a run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, cast

from risk_lsp.errors import RiskError, WorkerError
from risk_lsp.team.admission import LeftOut, Ride, Turns
from risk_lsp.team.host_figures import Figures
from risk_lsp.team.team_worker import answers_in
from risk_lsp.worker.messages import PartCallback, ScoredArrays
from risk_lsp.worker.supervisor import Supervisor, WorkerState

_FIRST_SHARE = 0.3  # seconds that a score has before it may have to wait for others
_MOST_RIDERS = 15  # others whose texts are looked at for one shared run
_GPU_BATCH_TOKENS = 2048


class SharedModel:
    """The model's process, and whose turn it is.

    `batch_tokens`: how many tokens texts of several people may have the model run together, 0 if each text is to be
    read by itself; None leaves that to the model's device.
    """

    def __init__(self, supervisor: Supervisor, turns: Turns, figures: Figures, batch_tokens: int | None) -> None:
        self._supervisor = supervisor
        self._turns = turns
        self._figures = figures
        self._batch_tokens = batch_tokens
        self._idle = asyncio.Event()
        supervisor.on_change(self._follow_worker)

    def is_ready(self) -> bool:
        """Whether the model's process is up."""
        return self._supervisor.state in (WorkerState.READY, WorkerState.BUSY)

    async def ask(self, person: str, question: str, parameters: dict[str, Any], on_part: PartCallback) -> ScoredArrays:
        """The worker's answer, when it is the person's turn.

        A score that takes long lets people go first who had less time: it is broken off, and asked again in its next
        turn. The worker remembers the windows that it has read by then. Each turn is twice as long as the one before
        it, so that something is read in the end on any machine. Scores that wait, too, ride along where that is asked
        for; a run that they share is short, and not broken off.
        """
        share = _FIRST_SHARE if question == "score" else None
        wish = parameters if question == "score" and self._tokens_of_batch() else None
        while True:
            async with self._turns.turn(person, wish) as ride:
                if not ride.drives:
                    try:
                        scored: ScoredArrays = await ride.outcome
                    except LeftOut as left:
                        wish = wish if left.may_ride else None
                        continue
                    return scored
                began = time.monotonic()
                riders = [] if wish is None else self._turns.take_along(ride, _MOST_RIDERS)
                job = asyncio.ensure_future(
                    self._drive(ride, riders, on_part)
                    if riders
                    else self._supervisor.ask(question, parameters, on_part)
                )
                try:
                    while not (await asyncio.wait({job}, timeout=share))[0]:
                        if not _is_awaited(riders) and self._turns.is_due(person, time.monotonic() - began):
                            break
                    else:
                        return job.result()
                except LeftOut:
                    pass
                finally:
                    if not job.done() and _is_awaited(riders):  # by them alone: this request is given up
                        job.add_done_callback(lambda done: done.cancelled() or done.exception())
                        await asyncio.wait({job})
                    elif not job.done():
                        job.cancel()
                        await self._idle.wait()
                    self._figures.model_seconds.inc(time.monotonic() - began)
            wish = None  # the text is long, or a run that it shared failed
            share = None if share is None else 2 * share

    async def _drive(self, driver: Ride, riders: Sequence[Ride], on_part: PartCallback) -> ScoredArrays:
        """The driver's answer, from runs that those share who ride along; they get theirs.

        Raises LeftOut if the model's process fails: each text is then to be read by itself.
        """
        most, every = self._tokens_of_batch(), (driver, *riders)

        def follow(part: ScoredArrays) -> None:
            if "left" not in part.header:
                on_part(part)
                return
            tokens_left: dict[int, int] = dict(part.header["left"])
            self._turns.split({each.person: 1.0 for index, each in enumerate(every) if index not in tokens_left})
            for index, tokens in tokens_left.items():
                if not every[index].outcome.done():
                    every[index].outcome.set_exception(LeftOut(may_ride=tokens <= most))

        parameters = {"asked": [each.wish for each in every], "most_tokens": most}
        try:
            scored = await self._supervisor.ask("scores", parameters, follow)
        except WorkerError as error:
            raise LeftOut(may_ride=False) from error
        answers = answers_in(scored)
        self._figures.shared.inc(scored.header["shared"])
        self._turns.split({every[index].person: tokens + 1.0 for index, (tokens, _) in answers.items()})
        for index, (_, answer) in answers.items():
            outcome = every[index].outcome
            if outcome.done():
                continue
            if isinstance(answer, RiskError):
                outcome.set_exception(answer)
            else:
                outcome.set_result(answer)
        return cast("ScoredArrays", driver.outcome.result())

    def _tokens_of_batch(self) -> int:
        """How many tokens a shared run may have; 0 if there is to be none."""
        if self._batch_tokens is None:
            return 0 if self._supervisor.description.get("device", "cpu") == "cpu" else _GPU_BATCH_TOKENS
        return self._batch_tokens

    def _follow_worker(self, state: WorkerState, failure: WorkerError | None) -> None:
        if state is WorkerState.RESTARTING:
            self._figures.restarts.inc()
        if state is WorkerState.BUSY:
            self._idle.clear()
        else:
            self._idle.set()


def _is_awaited(riders: Sequence[Ride]) -> bool:
    return any(not each.outcome.done() for each in riders)
