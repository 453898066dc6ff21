"""What each person may ask of a team's host, and whose turn it is."""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from risk_lsp.errors import RiskError

_GUESSED_SECONDS = 0.1  # of a request, before any was served


@dataclass(frozen=True)
class PersonLimits:
    """What one person may ask for. Tokens are the model's, texts are measured in characters.

    `waiting`: requests that may wait at a time. `documents` and `kept_characters`: what the host keeps of the person's
    texts, the newest first. `all_waiting`: requests of all people that may wait together.
    """

    requests_per_minute: int = 600
    tokens_per_minute: int = 1_000_000
    characters: int = 200_000
    waiting: int = 8
    documents: int = 64
    kept_characters: int = 4_000_000
    all_waiting: int = 512

    @property
    def body_bytes(self) -> int:
        """The longest request: JSON may need six bytes for a character."""
        return 6 * self.characters + (1 << 16)


class TooMuch(RiskError):
    """A limit is reached. `seconds`: after which another try may succeed."""

    def __init__(self, message: str, seconds: float) -> None:
        self.seconds = max(1, math.ceil(seconds))
        super().__init__(message, f"ask again in {self.seconds} s")


class Bucket:
    """A token bucket: `per_minute` units flow in, up to a minute's worth; it may be overdrawn by the last request."""

    def __init__(self, per_minute: int) -> None:
        self._per_second = per_minute / 60
        self._most = float(per_minute)
        self._level = self._most
        self._seen = time.monotonic()

    def check(self, what: str) -> None:
        """Raises TooMuch if nothing is left."""
        now = time.monotonic()
        self._level = min(self._most, self._level + (now - self._seen) * self._per_second)
        self._seen = now
        if self._level <= 0:
            raise TooMuch(f"more than {self._most:.0f} {what} a minute", -self._level / self._per_second)

    def take(self, units: int) -> None:
        """Take units out."""
        self._level -= units


class Allowance:
    """The buckets of one person."""

    def __init__(self, limits: PersonLimits) -> None:
        self._requests = Bucket(limits.requests_per_minute)
        self._tokens = Bucket(limits.tokens_per_minute)

    def begin(self) -> None:
        """Count a request. Raises TooMuch if the person has asked for too much lately."""
        self._requests.check("requests")
        self._tokens.check("tokens")
        self._requests.take(1)

    def read(self, tokens: int) -> None:
        """Count the tokens that a request came to: they are known once it is answered."""
        self._tokens.take(tokens)


class Turns:
    """Lets one request at a time reach the model, such that people who wait get equal time of it.

    The next is of the person who had the least time (start-time fair queueing, Goyal, Vin and Cheng, IEEE/ACM
    Transactions on Networking 5, 1997): who was idle starts at the time of the person served last, and has no claim to
    what was missed. Of one person's requests the newest is the next, as it is of the text that the person is at.
    """

    def __init__(self, limits: PersonLimits) -> None:
        self._limits = limits
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._served: defaultdict[str, float] = defaultdict(float)  # seconds of the model, by person
        self._clock = 0.0  # of the person who was served last
        self._is_taken = False
        self._usual_seconds = _GUESSED_SECONDS

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def turn(self, person: str) -> AsyncIterator[None]:
        """Wait for the person's turn, and keep it. Raises TooMuch if too many wait already."""
        waiting = self.waiting
        if waiting >= self._limits.all_waiting:
            raise TooMuch("the host has more to do than it can", waiting * self._usual_seconds)
        if len(self._waiting.get(person, ())) >= self._limits.waiting:
            raise TooMuch(f"{self._limits.waiting} of your requests wait already", waiting * self._usual_seconds)
        await self._wait(person)
        began = time.monotonic()
        try:
            yield
        finally:
            seconds = time.monotonic() - began
            self._served[person] += seconds
            self._usual_seconds += 0.1 * (seconds - self._usual_seconds)
            self._is_taken = False
            self._call_next()

    async def _wait(self, person: str) -> None:
        if person not in self._waiting:
            self._served[person] = max(self._served[person], self._clock)
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(person, deque()).append(called)
        self._call_next()
        try:
            await called
        except asyncio.CancelledError:
            if called.cancelled():
                self._drop(person, called)
            else:  # called, and given up before it began
                self._is_taken = False
                self._call_next()
            raise

    def _call_next(self) -> None:
        while not self._is_taken and self._waiting:
            person = min(self._waiting, key=lambda each: self._served[each])
            called = self._waiting[person][-1]
            self._drop(person, called)
            if not called.done():
                self._clock = self._served[person]
                self._is_taken = True
                called.set_result(None)

    def _drop(self, person: str, called: asyncio.Future[None]) -> None:
        queue = self._waiting.get(person)
        if queue is None or called not in queue:
            return
        queue.remove(called)
        if not queue:
            del self._waiting[person]
