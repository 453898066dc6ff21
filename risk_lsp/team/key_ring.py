"""Who may ask a team's host: a file with the hash of one key for each person, and one for whoever reads the metrics.

A key has 256 random bits, so a plain SHA-256 of it tells nothing about it and needs no salt.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from risk_lsp.errors import BadInput
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
