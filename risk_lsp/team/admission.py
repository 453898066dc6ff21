"""Who may ask a team's host, for how much, and whose turn it is.

The keys are in a file, by their hashes: one for each person, and one for whoever reads the metrics. A key has 256
random bits, so a plain SHA-256 of it tells nothing about it and needs no salt.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import os
import re
import secrets
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from risk_lsp.errors import BadInput, RiskError
from risk_lsp.files import write_whole

PERSON, METRICS = "person", "metrics"
_ROLES = (PERSON, METRICS)
_KEY_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HASH = re.compile(r"[0-9a-f]{64}")
_SECONDS_BETWEEN_LOOKS = 1.0


@dataclass(frozen=True)
class Holder:
    """Whose key it is, and what the key is for: `person` may have texts scored, `metrics` may read the metrics."""

    name: str
    role: str


class KeyRing:
    """The keys of one file. The file is read again when it changes, so a removed line holds at once.

    Raises BadInput if the file cannot be read or has a line that is no key when the ring is made; later such a file
    lets nobody in.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = self._look()
        self._holders = read_keys(path)

    def holder_of(self, key: str) -> Holder | None:
        """Whose key this is, None if it is nobody's. The time that it takes does not depend on how much of it is
        right."""
        if time.monotonic() - self._looked >= _SECONDS_BETWEEN_LOOKS and (stamp := self._look()) != self._stamp:
            self._stamp = stamp
            try:
                self._holders = read_keys(self._path)
            except BadInput:
                self._holders = {}
        found = None
        asked = _hash_of(key)
        for known, holder in self._holders.items():
            if hmac.compare_digest(known, asked):
                found = holder
        return found

    def _look(self) -> tuple[int, int, int] | None:
        self._looked = time.monotonic()
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size


def read_keys(path: Path) -> dict[str, Holder]:
    """The holders in a file by the hashes of their keys. Raises BadInput for a file that is none of `add_key`."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise BadInput(f"the keys in {path} cannot be read: {reason}", "make one with risk-lsp host key") from error
    holders: dict[str, Holder] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        role, name, known = (*line.split(), "", "", "")[:3]
        if role not in _ROLES or not _NAME.fullmatch(name) or not _HASH.fullmatch(known):
            raise BadInput(f"line {number} of {path} is no key", "remove it, and make another: risk-lsp host key")
        holders[known] = Holder(name, role)
    return holders


def add_key(path: Path, name: str, role: str = PERSON) -> str:
    """Make a key and write its hash into the file, instead of one that the same holder had; returns the key.

    The key itself is written nowhere. Raises BadInput for a name that no file can hold, or a file that cannot be read
    or written.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} cannot name a key", "use up to 64 letters, digits and . _ @ -, no space")
    holder = Holder(name, role)
    others = read_keys(path) if path.exists() else {}
    key = f"risk-{secrets.token_urlsafe(_KEY_BYTES)}"
    holders = {**{known: other for known, other in others.items() if other != holder}, _hash_of(key): holder}
    lines = [f"{each.role} {each.name} {known}\n" for known, each in holders.items()]
    try:
        write_whole(path, "".join(lines).encode())
    except OSError as error:
        raise BadInput(f"the key cannot be kept in {path}: {error.strerror}", "name another file") from error
    return key


def _hash_of(key: str) -> str:
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


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


@dataclass(frozen=True, eq=False)
class Ride:
    """A turn of a person who has the model (`drives`), or of one who is taken along in another's turn.

    `wish`: what the person asks, None if it takes no company. `outcome`: what the driver leaves for those who ride: an
    answer, or LeftOut if there is none.
    """

    person: str
    wish: Any
    drives: bool
    outcome: asyncio.Future[Any]

    def leave(self) -> None:
        """Nobody waits for the outcome any more."""
        if not self.outcome.cancel() and not self.outcome.cancelled():
            self.outcome.exception()  # which would be logged as one that nobody saw


class LeftOut(Exception):
    """Who was taken along has to wait for another turn; `may_ride`: this can be one of another person again."""

    def __init__(self, *, may_ride: bool) -> None:
        self.may_ride = may_ride


class Turns:
    """Lets one request at a time reach the model, such that people who wait get equal time of it.

    The next is of the person who had the least time (start-time fair queueing, Goyal, Vin and Cheng, IEEE/ACM
    Transactions on Networking 5, 1997): who was idle starts at the time of the person served last, and has no claim to
    what was missed. Of one person's requests the newest is the next, as it is of the text that the person is at.

    Whoever has a turn can take others along; its time is then shared by all.
    """

    def __init__(self, limits: PersonLimits) -> None:
        self._limits = limits
        self._waiting: dict[str, deque[_Waiting]] = {}
        self._served: defaultdict[str, float] = defaultdict(float)  # seconds of the model, by person
        self._clock = 0.0  # where who comes anew begins: the time of the person served last
        self._is_taken = False
        self._riders: list[Ride] = []  # of this turn
        self._parts: dict[str, float] = {}  # of this turn's time, by person
        self._usual_seconds = _GUESSED_SECONDS

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return sum(map(len, self._waiting.values()))

    def check(self, person: str) -> None:
        """Raises TooMuch if too many requests wait already."""
        waiting = self.waiting
        if waiting >= self._limits.all_waiting:
            raise TooMuch("the host has more to do than it can", waiting * self._usual_seconds)
        if len(self._waiting.get(person, ())) >= self._limits.waiting:
            raise TooMuch(f"{self._limits.waiting} of your requests wait already", waiting * self._usual_seconds)

    def is_due(self, person: str, seconds: float) -> bool:
        """Whether somebody waits who had less time than this person has with so many seconds more."""
        return any(self._served[other] < self._served[person] + seconds for other in self._waiting if other != person)

    @asynccontextmanager
    async def turn(self, person: str, wish: Any = None) -> AsyncIterator[Ride]:
        """Wait for the person's turn, and keep it. Raises TooMuch if too many wait already.

        A request with a `wish` may be taken along in another's turn, and has to wait for the outcome then.
        """
        self.check(person)
        ride = await self._wait(person, wish)
        if not ride.drives:
            try:
                yield ride
            finally:
                ride.leave()
            return
        self._riders, self._parts = [], {person: 1.0}
        began = time.monotonic()
        try:
            yield ride
        finally:
            seconds = time.monotonic() - began
            for rider in self._riders:
                if not rider.outcome.done():
                    rider.outcome.set_exception(LeftOut(may_ride=False))
            for each, part in self._parts.items():
                self._served[each] += seconds * part
            self._usual_seconds += 0.1 * (seconds - self._usual_seconds)
            self._is_taken = False
            if not self._waiting:  # what was used while nobody waited is held against nobody
                self._clock = max(self._served.values())
            self._call_next()

    def take_along(self, driver: Ride, most: int) -> list[Ride]:
        """Let others ride: at most so many, one request of each, first of those who had the least time."""
        others = [person for person in self._waiting if person != driver.person]
        for person in sorted(others, key=lambda each: self._served[each]):
            waiting = self._waiting[person][-1]
            if len(self._riders) < most and waiting.wish is not None and not waiting.called.done():
                ride = waiting.call(drives=False)
                self._drop(person, waiting)
                self._riders.append(ride)
        self.split({each.person: 1.0 for each in (driver, *self._riders)})
        return list(self._riders)

    def split(self, weights: Mapping[str, float]) -> None:
        """Have these people bear this turn's time, in proportion."""
        total = sum(weights.values())
        self._parts = {person: weight / total for person, weight in weights.items()}

    async def _wait(self, person: str, wish: Any) -> Ride:
        if person not in self._waiting:
            self._served[person] = max(self._served[person], self._clock)
        waiting = _Waiting(person, wish)
        self._waiting.setdefault(person, deque()).append(waiting)
        self._call_next()
        try:
            return await waiting.called
        except asyncio.CancelledError:
            if waiting.called.cancelled():
                self._drop(person, waiting)
            elif not (ride := waiting.called.result()).drives:
                ride.leave()
            else:  # called, and given up before it began
                self._is_taken = False
                self._call_next()
            raise

    def _call_next(self) -> None:
        while not self._is_taken and self._waiting:
            person = min(self._waiting, key=lambda each: self._served[each])
            waiting = self._waiting[person][-1]
            self._drop(person, waiting)
            if not waiting.called.done():
                self._clock = self._served[person]
                self._is_taken = True
                waiting.call(drives=True)

    def _drop(self, person: str, waiting: _Waiting) -> None:
        queue = self._waiting.get(person)
        if queue is None or waiting not in queue:
            return
        queue.remove(waiting)
        if not queue:
            del self._waiting[person]


class _Waiting:
    """A request that waits to be called."""

    def __init__(self, person: str, wish: Any) -> None:
        self._person = person
        self.wish = wish
        self.called: asyncio.Future[Ride] = asyncio.get_running_loop().create_future()

    def call(self, *, drives: bool) -> Ride:
        """End the wait."""
        ride = Ride(self._person, self.wish, drives, self.called.get_loop().create_future())
        self.called.set_result(ride)
        return ride
