"""Risks of texts that were scored before, on disk: offsets and hazards under a hash of the text, never the text."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from platformdirs import user_cache_path

from risk_lsp import __version__
from risk_lsp.errors import RiskError
from risk_lsp.files import write_whole
from risk_lsp.probe.manifest import Manifest
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.span_risk import Scorer, SpanRisk
from risk_lsp.worker.messages import Message, pack, read_message

MOST_BYTES = 200_000_000
_FORMAT = 3  # of what is kept, and of how a text is read: another one makes what was kept void
_DIGEST_LENGTH = 32
_CHECKS_PER_LIMIT = 20  # the folder's size is looked at each time a twentieth of the limit was written

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where this user's risks are kept."""
    return Path(user_cache_path("risk-lsp", appauthor=False)) / "risks"


class DiskCache:
    """Risks by key. Any number of processes may use one folder; a file that is damaged counts as absent.

    Nothing here raises: where the folder cannot be written or read, nothing is kept.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._unchecked_bytes = most_bytes  # what others left behind is looked at once

    def get(self, key: str) -> SpanRisk | None:
        """What was kept under the key, None if nothing was, or nothing whole."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        risk = _decoded(content)
        with contextlib.suppress(OSError):
            if risk is None:
                path.unlink()
            else:
                os.utime(path)  # the oldest are dropped first
        return risk

    def put(self, key: str, risk: SpanRisk) -> None:
        """Keep risks under a key."""
        header, arrays = risk.to_arrays()
        frame = pack(Message("result", {"id": 0, "header": header}, arrays))
        content = sha256(frame).digest() + frame
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
        except OSError as error:
            logger.debug("risks are not kept in %s: %s", self._folder, error.strerror)
            return
        self._unchecked_bytes += len(content)
        if self._unchecked_bytes * _CHECKS_PER_LIMIT >= self._most_bytes:
            self._unchecked_bytes = 0
            self._drop_oldest()

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key[2:]

    def _drop_oldest(self) -> None:
        """Remove the files that were not used for the longest, so that the others fit."""
        found = []
        for path in self._folder.glob("*/*"):
            with contextlib.suppress(OSError):  # another process may have dropped it
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size, path))
        kept_bytes = 0
        for _, size, path in sorted(found, reverse=True):
            kept_bytes += size
            if kept_bytes > self._most_bytes:
                with contextlib.suppress(OSError):
                    path.unlink()


class CachedScorer:
    """An engine that is asked only for texts whose risks are not on disk."""

    def __init__(self, scorer: Scorer, manifest: Manifest, cache: DiskCache, *, numbers: str) -> None:
        self._scorer = scorer
        self._cache = cache
        self._prefix = key_prefix(manifest, numbers)

    def score(self, text: str, language_id: str) -> SpanRisk:
        """The risks of one text."""
        return self.score_many([text], language_id)[0]

    def score_many(self, texts: Sequence[str], language_id: str = "python") -> Sequence[SpanRisk]:
        """The risks of many texts, in their order; those that are not on disk are asked for together, each once."""
        keys = [text_key(self._prefix, text, language_id) for text in texts]
        wanted = dict(zip(keys, texts, strict=True))
        risks = {key: risk for key in wanted if (risk := self._cache.get(key)) is not None}
        missing = [key for key in wanted if key not in risks]
        scored = self._scorer.score_many([wanted[key] for key in missing], language_id)
        for key, risk in zip(missing, scored, strict=True):
            self._cache.put(key, risk)
            risks[key] = risk
        return [risks[key] for key in keys]


def key_prefix(manifest: Manifest, numbers: str) -> str:
    """What risks depend on beside the text; `numbers` says where and in which number format the model ran."""
    parts = (
        manifest.host.weights_hash,
        manifest.host.tokenizer_hash,
        manifest.probe_hash,
        manifest.layers,
        manifest.reading,
        manifest.calibration.to_json(),
        manifest.novelty,
    )
    return json.dumps([_FORMAT, __version__, numbers, *parts], sort_keys=True)


def text_key(prefix: str, text: str, language_id: str) -> str:
    """The key of one text: 64 hexadecimal digits."""
    return sha256(json.dumps([prefix, language_id, text]).encode()).hexdigest()


def _decoded(content: bytes) -> SpanRisk | None:
    digest, frame = content[:_DIGEST_LENGTH], content[_DIGEST_LENGTH:]
    if sha256(frame).digest() != digest:
        return None
    try:
        message = read_message(io.BytesIO(frame))
        return None if message is None else RiskMap.from_arrays(message.fields["header"], dict(message.arrays))
    except RiskError:  # of another version
        return None
