"""Who is next where one at a time is served: the one who asked last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class NewestFirst:
    """As asyncio.Lock, but of those who wait the newest is let in next: what was asked last is what a person sees."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: list[asyncio.Future[None]] = []

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it."""
        if self._taken:
            await self._let_in()
        self._taken = True
        try:
            yield
        finally:
            self._pass_on()

    async def _let_in(self) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():  # it was let in, and goes
                self._pass_on()
            elif mine in self._waiting:
                self._waiting.remove(mine)
            raise

    def _pass_on(self) -> None:
        """Let the next one in; until it runs, nobody gets in between."""
        while self._waiting:
            newest = self._waiting.pop()
            if not newest.done():
                newest.set_result(None)
                return
        self._taken = False
