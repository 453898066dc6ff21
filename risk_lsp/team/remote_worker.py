"""A team's host as an editor's server asks it: like a worker, over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from risk_lsp.errors import BadInput, ModelError, WorkerError
from risk_lsp.settings import is_this_machine
from risk_lsp.text.tracking import difference
from risk_lsp.worker.messages import PREFIX_LENGTH, PartCallback, ScoredArrays, unpack, unpack_prefix
from risk_lsp.worker.supervisor import LoadInterrupted

KEY_VARIABLE = "RISK_LSP_HOST_KEY"
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 120.0
_BUSY_SECONDS = 60.0  # for which a host that has too much to do is asked again
_LONGEST_ANSWER = 1 << 26
_VERSIONS = 4  # of a text: the host may have missed the last ones, where an edit came in between
_TEXTS = 32
_FEW = 1000  # characters: a text that differs by no more is not compared with others
_TRIES = 3
_PART = re.compile(rb'\{"kind": "part"')
_NO_ANSWER = ("the team's host sent something else than an answer", "it may be of another version")
_ANOTHER_MACHINE = "the address in remoteHost has to be that of a risk-lsp host"


class HostAway(LoadInterrupted):
    """The host cannot be asked, whatever the question."""


@dataclass
class _SentText:
    """A text that the host knows by `name`, in the versions that were sent last; `busy` while it is asked about one."""

    name: str
    versions: OrderedDict[int, str] = field(default_factory=OrderedDict)
    busy: bool = False

    @property
    def newest(self) -> int:
        return next(reversed(self.versions))

    def add(self, text: str, version: int) -> None:
        self.versions[version] = text
        while len(self.versions) > _VERSIONS:
            self.versions.popitem(last=False)


class RemoteWorker:
    """Asks a host, as one person. Use from one event loop, and `close` it.

    Texts have no names here: an edit is told as what differs from a similar text that the host has, so the host
    learns no path and no file name.

    Every method raises HostAway if the host cannot be reached, does not accept the key, or answers with something else
    than a host's answers.
    """

    def __init__(self, url: str, key: str) -> None:
        self._client = httpx2.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"},
            timeout=httpx2.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS, pool=None),
        )
        self._name = urlsplit(url).netloc.rpartition("@")[2]
        self._texts: OrderedDict[str, _SentText] = OrderedDict()

    async def describe(self) -> dict[str, Any]:
        """What the host has loaded, as a worker says it."""
        with self._translate_errors():
            status, body, _ = await self._request("GET", "/v1/model", b"")
        self._check(status, body)
        description = _json(body).get("description")
        if status != 200 or not isinstance(description, dict):
            raise HostAway(f"{self._name} is no host, or of another version", _ANOTHER_MACHINE)
        return description

    async def score(self, text: str, language_id: str, at: int, on_part: PartCallback = lambda _: None) -> ScoredArrays:
        """As a worker's `score`. Raises BadInput if the host refuses the text, ModelError if it fails over it."""
        sent = self._similar(text)
        sent.busy = True
        try:
            for _ in range(_TRIES):
                request = {"document": sent.name, "language_id": language_id, "at": at, **_text_fields(sent, text)}
                status, body = await self._ask("/v1/score", request, on_part)
                if status != 409:
                    return self._answer(status, body)
                has = _json(body).get("version")
                base = sent.versions.get(has) if isinstance(has, int) else None
                sent.versions.clear()
                if base is not None and isinstance(has, int):
                    sent.versions[has] = base
                else:
                    sent.busy = False
                    sent = self._new_text()
                    sent.busy = True
            raise ModelError("the team's host and this program do not agree about a text", "edit it to try again")
        finally:
            sent.busy = False

    async def ask(
        self, question: str, parameters: dict[str, Any], on_part: PartCallback = lambda _: None
    ) -> ScoredArrays:
        """As a worker's `ask`. Raises BadInput and ModelError as `score` does."""
        asked = {"question": question, "parameters": parameters}
        return self._answer(*await self._ask("/v1/questions", asked, on_part))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _similar(self, text: str) -> _SentText:
        """The text at the host that this one most likely was before; a new one if none is like it."""
        best, least = None, (len(text) + 1) // 2
        for sent in reversed(self._texts.values()):
            before = "" if sent.busy or not sent.versions else sent.versions[sent.newest]
            if not before or abs(len(before) - len(text)) >= least:
                continue
            differs = difference(before, text)
            size = max(len(differs.inserted), len(differs.removed))
            if size < least:
                best, least = sent, size
            if size < _FEW:
                break
        if best is None:
            return self._new_text()
        self._texts.move_to_end(best.name)
        return best

    def _new_text(self) -> _SentText:
        sent = _SentText(os.urandom(16).hex())
        self._texts[sent.name] = sent
        while len(self._texts) > _TEXTS:
            self._texts.popitem(last=False)
        return sent

    async def _ask(self, path: str, content: dict[str, Any], on_part: PartCallback) -> tuple[int, bytes]:
        """Status and body of the answer without parts; a host that is busy is asked again for a while."""
        loop = asyncio.get_running_loop()
        deadline, failures = loop.time() + _BUSY_SECONDS, 0
        body = json.dumps(content).encode()
        while True:
            with self._translate_errors():
                status, answer, pause = await self._request("POST", path, body, on_part)
            failures += status == 503
            if status not in (429, 503) or failures == _TRIES or loop.time() + pause > deadline:
                return status, answer
            await asyncio.sleep(pause * random.uniform(1.0, 1.5))

    async def _request(
        self, method: str, path: str, content: bytes, on_part: PartCallback = lambda _: None
    ) -> tuple[int, bytes, float]:
        """Status, body and Retry-After in seconds; frames of parts are taken off the body."""
        body, length = bytearray(), 0
        async with self._client.stream(method, path, content=content) as response:
            async for block in response.aiter_raw():
                body += block
                length += len(block)
                if length > _LONGEST_ANSWER:
                    raise HostAway(f"{self._name} does not stop answering", _ANOTHER_MACHINE)
                while response.status_code == 200 and (part := _take_part(body)) is not None:
                    on_part(part)
            pause = response.headers.get("retry-after", "1")
            return response.status_code, bytes(body), float(pause) if pause.isdecimal() else 1.0

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx2.TimeoutException as error:
            raise HostAway(f"{self._name} does not answer in time", "it is asked again from time to time") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise HostAway(f"{self._name} cannot be reached", "it is asked again from time to time") from error

    def _check(self, status: int, body: bytes) -> None:
        if status in (401, 403):
            raise HostAway(f"{self._name} does not accept the key", f"ask for another, and put it into {KEY_VARIABLE}")
        if status in (404, 405) or (status >= 500 and "message" not in _json(body)):
            raise HostAway(f"{self._name} answers like no risk-lsp host ({status})", _ANOTHER_MACHINE)

    def _answer(self, status: int, body: bytes) -> ScoredArrays:
        """The arrays of an answer."""
        self._check(status, body)
        if status == 200:
            return _unpack_scores(body, "result")
        said = _json(body)
        message, hint = (str(said.get(name, ""))[:500] for name in ("message", "hint"))
        # No worker went away here, so no new one is to be waited for: that would be a WorkerError.
        kind = BadInput if status in (413, 422) else ModelError
        raise kind(f"the team's host: {message or status}", hint)


def _text_fields(sent: _SentText, text: str) -> dict[str, Any]:
    """The part of a request that says what the text is, and takes note that it was said."""
    if not sent.versions:
        sent.add(text, 1)
        return {"version": 1, "text": text}
    base = sent.newest
    edit = difference(sent.versions[base], text)
    sent.add(text, base + 1)
    return {"version": base + 1, "base": base, "edits": [[edit.start, edit.end, edit.inserted]]}


def _take_part(body: bytearray) -> ScoredArrays | None:
    """The part that a body begins with, if it has arrived; it is taken off the body."""
    if len(body) < PREFIX_LENGTH or body[:1] == b"{":
        return None
    try:
        end = PREFIX_LENGTH + sum(unpack_prefix(bytes(body[:PREFIX_LENGTH])))
        if len(body) < end or not _PART.match(body, PREFIX_LENGTH):
            return None
        part = _unpack_scores(bytes(body[:end]), "part")
    except WorkerError as error:
        raise ModelError(*_NO_ANSWER) from error
    del body[:end]
    return part


def _unpack_scores(frame: bytes, kind: str) -> ScoredArrays:
    """The arrays of a frame of a kind. Raises BadInput or ModelError for one of an error, ModelError for anything else;
    nothing of it is run."""
    try:
        header_length, arrays_length = unpack_prefix(frame[:PREFIX_LENGTH].ljust(PREFIX_LENGTH))
        rest = frame[PREFIX_LENGTH:]
        message = unpack(rest[:header_length], rest[header_length:])
    except WorkerError as error:
        raise ModelError(*_NO_ANSWER) from error
    if message.kind == "error":
        failure = BadInput if message.fields["refused"] else ModelError
        raise failure(f"the team's host: {message.fields['message'][:500]}", message.fields["hint"][:500])
    if len(rest) != header_length + arrays_length or message.kind != kind:
        raise ModelError(*_NO_ANSWER)
    return ScoredArrays(message.fields["header"], dict(message.arrays))


def _json(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def check_address(url: str, *, offline: bool) -> None:
    """Raises HostAway for an address that is none, would carry texts in clear, or is on the network while offline."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise HostAway(f"remoteHost {url!r} is no address", "write it as https://HOST:PORT")
    if is_this_machine(host):
        return
    if parts.scheme != "https":
        raise HostAway(f"{host} is another machine and {url} has no TLS", "set remoteHost to its https:// address")
    if offline:
        raise HostAway(f"{host} is on the network and risk-lsp is offline", "set offline to false to allow it")


def kept_key(key_file: str) -> str | None:
    """The key in the file that the person's settings name, or else in the environment. Raises HostAway if the file
    cannot be read."""
    if not key_file:
        return os.environ.get(KEY_VARIABLE) or None
    try:
        return Path(key_file).expanduser().read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise HostAway(f"the key in {key_file} cannot be read", "see the setting remoteKeyFile") from error
