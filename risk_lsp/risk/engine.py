"""Text in, risks out: the model, the probe and the calibration of one bundle, and the risks on disk of known texts.

On disk are offsets and hazards under a hash of the text, never the text.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path

from risk_lsp import __version__
from risk_lsp.errors import RiskError
from risk_lsp.files import write_whole
from risk_lsp.probe.manifest import Manifest, default_bundle_path
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.span_risk import PartialRisk, Scorer, SpanRisk, spans_of_tokens
from risk_lsp.text.document import Span
from risk_lsp.text.normal_form import ModelText
from risk_lsp.text.structure import statement_starts
from risk_lsp.worker.messages import Message, pack, read_message

if TYPE_CHECKING:
    from risk_lsp.model.code_model import Activations, KnownText, KnownTokens
    from risk_lsp.model.decoders.vllm_host import VllmAddress
    from risk_lsp.model.tokenizer import Encoding
    from risk_lsp.model.window_memory import WindowMemory
    from risk_lsp.probe.bundle import Bundle
    from risk_lsp.probe.token_hazards import TokenReading, TokenRows


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
        risk = _decode_entry(content)
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


def _decode_entry(content: bytes) -> SpanRisk | None:
    digest, frame = content[:_DIGEST_LENGTH], content[_DIGEST_LENGTH:]
    if sha256(frame).digest() != digest:
        return None
    try:
        message = read_message(io.BytesIO(frame))
        return None if message is None else RiskMap.from_arrays(message.fields["header"], dict(message.arrays))
    except RiskError:  # of another version
        return None


_TOKENS_AT_ONCE = 65_536  # bounds the activations held in memory while many texts are scored


class Engine:
    """A loaded bundle: its `manifest`, and the code `model` that its probe reads.

    Not for use from two threads at once. Importing this module does not import torch.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.manifest, self.model = bundle.manifest, bundle.model
        self._reader = bundle.reader

    @classmethod
    def load(
        cls,
        bundle_path: Path | None = None,
        *,
        device: str = "auto",
        dtype: str = "auto",
        offline: bool = True,
        threads: int | None = None,
        whole_model: bool = False,
        vllm: VllmAddress | None = None,
    ) -> Engine:
        """Load a bundle, by default the embedded one. Raises BundleError or ModelError.

        With `whole_model` token statistics can be read even if the bundle's probe does without them. `vllm` is as for
        `load_bundle`.
        """
        # Read when torch is first imported: threads that wait sleep, and do not spin against the editor.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from risk_lsp.probe.bundle import load_bundle

        path = bundle_path or default_bundle_path()
        options: dict[str, Any] = {"device": device, "dtype": dtype, "offline": offline, "threads": threads}
        return cls(load_bundle(path, whole_model=whole_model, vllm=vllm, **options))

    def describe(self) -> dict[str, Any]:
        """The bundle in a few words, as JSON: name, hash of the probe, model, device, layers, figures, reference table,
        places."""
        model, manifest = self.model, self.manifest
        return {
            "name": manifest.name,
            "probe_hash": manifest.probe_hash,
            "model": model.name,
            "device": model.device,
            "dtype": model.dtype,
            "context": model.context,
            "layers": list(manifest.layers),
            "architecture": manifest.architecture,
            "created": manifest.created,
            "figures": manifest.figures,
            "reference": manifest.reference,
            "places": manifest.priors.to_json(),
        }

    def model_text(self, text: str, language_id: str = "python") -> ModelText:
        """What the model reads of a text, as the bundle says."""
        return ModelText(text, self.manifest.reading, language_id)

    def score(self, text: str, language_id: str = "python") -> SpanRisk:
        """The risks of one text, from one run of the model."""
        return self.score_many([text], language_id)[0]

    def rescore(
        self,
        text: str,
        language_id: str,
        memory: WindowMemory,
        *,
        at: int = 0,
        on_part: Callable[[PartialRisk], None] = lambda _: None,
    ) -> SpanRisk:
        """As `score`, to float16, without running again what `memory` holds of earlier versions of the text.

        The surroundings of the character `at` are read first. While a long text is read, `on_part` sees what is known
        so far, a few times.
        """
        given, known = self.recall(text, language_id, memory, at=at)
        found = known.read(lambda part: on_part(self.partial_risk(given, part, known.encoding, memory)))
        return self.risk(given, found, memory)

    def recall(self, text: str, language_id: str, memory: WindowMemory, *, at: int = 0) -> tuple[ModelText, KnownText]:
        """What the model reads of a text, and what `memory` holds of earlier versions of it, as `rescore` needs it."""
        given = self.model_text(text, language_id)
        encoding = self.model.encode(given.text)
        place = given.span_in_text(Span(at, at)).start
        token, behind = encoding.tokens_at([place, given.text.find("\n", place) + 1 or len(given.text)]).tolist()
        known = self.model.recall(
            encoding,
            self.manifest.layers,
            memory,
            boundaries=self._boundaries(given, encoding),
            statistics=self.manifest.statistics,
            at=token,
            until=behind,
        )
        return given, known

    def score_many(self, texts: Sequence[str], language_id: str = "python") -> list[SpanRisk]:
        """The risks of many texts, in order; texts of similar length share a run of the model."""
        risks: list[SpanRisk] = []
        pending: list[ModelText] = []
        encodings: list[Encoding] = []
        for text in texts:
            pending.append(self.model_text(text, language_id))
            encodings.append(self.model.encode(pending[-1].text))
            if sum(map(len, encodings)) >= _TOKENS_AT_ONCE:
                risks += self._read(pending, encodings)
                pending, encodings = [], []
        return risks + self._read(pending, encodings)

    def _read(self, texts: list[ModelText], encodings: list[Encoding]) -> list[SpanRisk]:
        read = self.read(texts, encodings, statistics=self.manifest.statistics)
        return [self.risk(text, activations) for text, activations in zip(texts, read, strict=True)]

    def read(self, texts: Sequence[ModelText], encodings: Sequence[Encoding], *, statistics: bool) -> list[Activations]:
        """Run the model over encoded texts at the bundle's layers, exactly as scoring does."""
        boundaries = [self._boundaries(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]
        return self.model.read_many(encodings, self.manifest.layers, boundaries=boundaries, statistics=statistics)

    def _boundaries(self, given: ModelText, encoding: Encoding) -> Sequence[int]:
        # Only texts that need more than one window are cut, so only they need to be parsed.
        if len(encoding) < self.model.window - 1:
            return ()
        starts: list[int] = encoding.tokens_at(statement_starts(given.text, given.language_id)).tolist()
        return starts

    def risk(self, given: ModelText, tokens: TokenRows, memory: WindowMemory | None = None) -> SpanRisk:
        """The risks of a text of whose tokens the rows (at the bundle's layers) are known.

        What the probe makes of its parts is kept in `memory`, and found there.
        """
        from risk_lsp.probe.token_hazards import read_tokens

        reading = read_tokens(self._reader, given.text, tokens, self.manifest, memory=memory)
        return self._risk(given, tokens.encoding, reading)

    def partial_risk(
        self,
        given: ModelText,
        known: KnownTokens | Activations,
        whole: Encoding,
        memory: WindowMemory | None = None,
    ) -> PartialRisk:
        """The risks of some of a text's tokens; those of the others are taken to be like them.

        memory: as for `risk`.
        """
        from risk_lsp.probe.token_hazards import read_tokens

        reading = read_tokens(self._reader, given.text, known, self.manifest, whole, memory=memory)
        # How unlike others the text is can be said of the whole alone.
        risks = self._risk(given, known.encoding, reading._replace(novelty=None))
        certain = known.is_certain
        tokens = spans_of_tokens(known.encoding.starts[certain], known.encoding.ends[certain])
        return PartialRisk(risks, given.stretches_in_document(tokens))

    def _risk(self, given: ModelText, encoding: Encoding, reading: TokenReading) -> SpanRisk:
        starts, ends = given.spans_in_document(encoding.starts, encoding.ends)
        calibration = self.manifest.calibration
        return RiskMap(len(given.document), starts, ends, reading.values, calibration, novelty=reading.novelty)
