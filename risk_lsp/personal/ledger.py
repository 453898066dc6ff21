"""What is remembered of accepted regions, on disk: one JSON object a line, only ever added to, and bounded; and the
records read back, which say which lines were settled, with their numbers and fates.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import RiskError
from risk_lsp.files import lock_folder, write_whole
from risk_lsp.personal.line_fates import Fate

# Of a file: then it becomes the older one, and the older one goes. Some 100,000 lines in all.
_BYTES_AT_MOST = 2_000_000
_SECONDS_TO_WAIT = 30.0  # for another writer; in the server, only a thread of its own waits
_CURRENT, _OLDER, _KEY, _OFF = "regions.jsonl", "regions-before.jsonl", "key", "off"


class Ledger:
    """The folder that holds the records of one user. Several servers may use it at the same time.

    The records hold no code: contents of lines are hashes with a key of this folder. Methods that write raise RiskError
    where the folder cannot be written.
    """

    def __init__(self, folder: Path, bytes_at_most: int = _BYTES_AT_MOST) -> None:
        self.folder = folder
        self._bytes_at_most = bytes_at_most

    @property
    def is_off(self) -> bool:
        """Whether the person has turned learning off for all editors."""
        return (self.folder / _OFF).exists()

    def turn(self, *, on: bool) -> None:
        """Turn learning off for all editors, or on again."""
        with self._lock():
            if on:
                (self.folder / _OFF).unlink(missing_ok=True)
            else:
                (self.folder / _OFF).touch(mode=0o600)

    def append(self, record: dict[str, Any]) -> None:
        """Add a record."""
        line = json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n"
        with self._lock():
            current = self.folder / _CURRENT
            if current.exists() and current.stat().st_size + len(line) > self._bytes_at_most:
                current.replace(self.folder / _OLDER)
            descriptor = os.open(current, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "rb+", buffering=0) as file:
                size = file.seek(0, os.SEEK_END)
                if size and os.pread(descriptor, 1, size - 1) != b"\n":  # a program ended in the middle of a line
                    line = b"\n" + line
                file.write(line)

    def records(self) -> Iterator[dict[str, Any]]:
        """All records, the oldest first; what is damaged is left out. Raises RiskError if a file cannot be read."""
        for name in (_OLDER, _CURRENT):
            try:
                content = (self.folder / name).read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._unusable("read", error) from None
            for line in content.splitlines():
                with contextlib.suppress(ValueError, RecursionError):
                    record = json.loads(line)
                    if isinstance(record, dict):
                        yield record

    def reset(self) -> None:
        """Forget everything, the key included; whether learning is off stays as it is."""
        was_off = self.is_off
        try:
            shutil.rmtree(self.folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._unusable("removed", error) from None
        if was_off:
            self.turn(on=False)

    def hasher(self) -> Callable[[str], str]:
        """Makes hashes of contents, 64 bits in hexadecimal, that nobody without the key of this folder can guess at."""
        path, key = self.folder / _KEY, b""
        with contextlib.suppress(OSError):
            key = path.read_bytes()
        if len(key) != 32:
            with self._lock():
                with contextlib.suppress(OSError):
                    key = path.read_bytes()  # another program may have been faster
                if len(key) != 32:
                    key = secrets.token_bytes(32)
                    write_whole(path, key)
        return lambda content: blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8, key=key).hexdigest()

    def looks(self) -> tuple[object, ...]:
        """Differs from what it was before if anything was written or turned meanwhile."""
        stamps: list[object] = []
        for name in (_OLDER, _CURRENT):
            try:
                found = (self.folder / name).stat()
                stamps.append((found.st_mtime_ns, found.st_ino, found.st_size))
            except OSError:
                stamps.append(None)
        return (self.is_off, *stamps)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """The folder for one writer alone."""
        try:
            with lock_folder(self.folder, _SECONDS_TO_WAIT):
                yield
        except OSError as error:
            raise self._unusable("written", error) from None

    def _unusable(self, what: str, error: OSError) -> RiskError:
        reason = error.strerror or type(error).__name__
        hint = "make the folder yours, or turn the setting learnFromEdits off"
        return RiskError(f"{self.folder} cannot be {what}: {reason}", hint)


FORMAT = 1
ACCEPTED, SETTLED = "accepted", "settled"


class Kind(NamedTuple):
    """What shares one level: the bundle that gave the numbers, and the language."""

    bundle: str
    language: str


@dataclass(frozen=True)
class SettledRegion:
    """The lines of one region: `probabilities` float64[lines], as everybody gets them, and their fates.

    `settled_at` is in seconds since the epoch.
    """

    settled_at: float
    probabilities: NDArray[np.float64]
    fates: tuple[Fate, ...]

    @property
    def edited(self) -> NDArray[np.bool_]:
        """bool[lines]: whether each was edited in substance, or deleted."""
        return np.array([fate is not Fate.KEPT for fate in self.fates], dtype=np.bool_)


def acceptance(
    region: str, at: float, kind: Kind, lines: Sequence[str], tokens: Sequence[int], numbers: Sequence[float]
) -> dict[str, Any]:
    """The record of an accepted region: hashes of its lines, how many tokens each has, and its probability."""
    return {
        "format": FORMAT,
        "event": ACCEPTED,
        "region": region,
        "at": round(at),
        "bundle": kind.bundle,
        "language": kind.language,
        "lines": list(lines),
        "tokens": list(tokens),
        "probabilities": [round(number, 5) for number in numbers],
    }


def settlement(region: str, at: float, reason: str, fates: Sequence[Fate]) -> dict[str, Any]:
    """The record of what became of a region's lines; no fates where it was taken back as a whole."""
    letters = "".join(fate.value for fate in fates)
    about = {"format": FORMAT, "event": SETTLED, "region": region, "at": round(at)}
    return {**about, "reason": reason, "fates": letters}


def settled_regions(records: Iterable[dict[str, Any]]) -> dict[Kind, list[SettledRegion]]:
    """The settled regions by what shares a level, in the order in which they were settled.

    A region counts once, also where two servers recorded it. Records that make no sense are left out.
    """
    accepted: dict[str, tuple[Kind, NDArray[np.float64]]] = {}
    found: dict[Kind, dict[str, SettledRegion]] = defaultdict(dict)
    for record in records:
        region = record.get("region")
        if record.get("format") != FORMAT or not isinstance(region, str):
            continue
        if record.get("event") == ACCEPTED and region not in accepted:
            bundle, language, numbers = (record.get(name) for name in ("bundle", "language", "probabilities"))
            if not isinstance(bundle, str) or not isinstance(language, str) or not isinstance(numbers, list):
                continue
            if all(type(each) in (int, float) and math.isfinite(each) and 0 <= each <= 1 for each in numbers):
                accepted[region] = Kind(bundle, language), np.array(numbers, dtype=np.float64)
        elif record.get("event") == SETTLED and region in accepted:
            kind, probabilities = accepted[region]
            letters, at = record.get("fates"), record.get("at")
            if not isinstance(letters, str) or len(letters) != len(probabilities) or type(at) is not int:
                continue
            with contextlib.suppress(ValueError):  # of a letter that stands for no fate
                fates = tuple(map(Fate, letters))
                found[kind].setdefault(region, SettledRegion(float(at), probabilities, fates))
    return {kind: list(regions.values()) for kind, regions in found.items()}
