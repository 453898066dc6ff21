"""The person's level in the server: learnt from the ledger, which a thread of its own reads and writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from risk_lsp.errors import log_failure
from risk_lsp.personal.ledger import Ledger
from risk_lsp.personal.level_update import learnt_shift
from risk_lsp.personal.settled_lines import Kind, acceptance, settled_regions, settlement
from risk_lsp.risk.odds_shift import OddsShift
from risk_lsp.server.documents.accepted_regions import Acceptance, Settlement

_SECONDS_TO_STOP = 2.0  # that what is still to be written may take


class PersonalLevel:
    """Remembers what is accepted and settled, and gives the shift that follows from it.

    `is_wanted` says whether the settings allow it now; `bundle` is the identity of the loaded one, None while none is.
    `on_change` is called on the event loop when numbers that are shown would move. No call here waits for the disk.
    """

    def __init__(
        self,
        ledger: Ledger,
        is_wanted: Callable[[], bool],
        bundle: Callable[[], str | None],
        on_change: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._is_wanted = is_wanted
        self._bundle = bundle
        self._on_change = on_change
        self._shifts: dict[Kind, OddsShift] = {}  # by what they were learnt for, as they are in force
        self._looked: tuple[object, ...] | None = None
        self._thread = ThreadPoolExecutor(1, "personal")
        self._tasks: set[asyncio.Task[None]] = set()

    def shift_for(self, language_id: str) -> OddsShift | None:
        """What the odds of generated lines of a language are shifted by; None where nothing is."""
        bundle = self._bundle()
        if bundle is None or not self._is_wanted():
            return None
        shift = self._shifts.get(Kind(bundle, language_id))
        return shift if shift is not None and shift.differs_from(None) else None

    def accepted(self, region: Acceptance) -> None:
        """Remember a region."""
        bundle = self._bundle()
        if bundle is not None and self._is_wanted():
            self._start(lambda: self._write_acceptance(region, Kind(bundle, region.language_id)))

    def settled(self, region: Settlement) -> None:
        """Remember what became of a region, and learn from it."""
        if self._is_wanted():
            self._start(lambda: self._write_settlement(region))
            self.refresh()

    def refresh(self) -> None:
        """Learn anew if the ledger was written or turned off meanwhile, by this server or by any other program."""
        self._start(self._learn)

    async def stop(self) -> None:
        """Have written what is still to be written, if that is possible soon."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_SECONDS_TO_STOP)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _start(self, work: Callable[[], dict[Kind, OddsShift] | None]) -> None:
        with suppress(RuntimeError):  # after the end of the session, there is neither a thread nor a loop
            task = asyncio.get_running_loop().create_task(self._run(work))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, work: Callable[[], dict[Kind, OddsShift] | None]) -> None:
        try:
            fresh = await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except Exception as error:  # numbers stay as they are
            log_failure("the person's level", error)
            return
        if fresh is not None:
            before = self._shifts
            if any((before.get(kind) or OddsShift(0.0)).differs_from(fresh.get(kind)) for kind in {*fresh, *before}):
                self._shifts = fresh
                self._on_change()

    # In the thread

    def _write_acceptance(self, region: Acceptance, kind: Kind) -> None:
        if not self._ledger.is_off:
            hash_of = self._ledger.hasher()
            contents, tokens, numbers = zip(*region.lines, strict=True)
            lines = [hash_of(content) for content in contents]
            self._ledger.append(acceptance(hash_of(region.name), region.at, kind, lines, tokens, numbers))

    def _write_settlement(self, region: Settlement) -> None:
        if not self._ledger.is_off:
            name = self._ledger.hasher()(region.name)
            self._ledger.append(settlement(name, region.at, region.reason, region.fates))

    def _learn(self) -> dict[Kind, OddsShift] | None:
        looks = self._ledger.looks()
        if looks == self._looked:
            return None
        self._looked = looks
        if self._ledger.is_off:
            return {}
        regions = settled_regions(self._ledger.records())
        return {kind: learnt_shift(settled, time.time()) for kind, settled in regions.items()}
