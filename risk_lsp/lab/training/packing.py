"""Packed token files: the tokenizer, documents as streams of uint16 token ids in shards, and batches of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from risk_lsp.errors import BadInput
from risk_lsp.lab.training.training_documents import TrainingDocument

END_OF_TEXT = "<|endoftext|>"
FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX = "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"
SPECIAL_TOKENS = (END_OF_TEXT, FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX)

# A line break takes the indentation that follows it, names keep their underscores, every digit stands alone.
_PIECES = Regex(r"\r?\n[ \t]*| ?[\p{L}_]+|\p{N}| ?[^\s\p{L}\p{N}_]+|\s+(?!\S)|\s")


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> Tokenizer:
    """A byte-level BPE tokenizer of `vocabulary_size` tokens, special tokens first, learnt from `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_PIECES, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def special_ids(tokenizer: Tokenizer) -> dict[str, int]:
    """The ids of the special tokens. BadInput for a tokenizer that lacks one."""
    ids = {token: tokenizer.token_to_id(token) for token in SPECIAL_TOKENS}
    if missing := [token for token, found in ids.items() if found is None]:
        raise BadInput(f"the tokenizer lacks {missing[0]}", "use one made by `risk-lsp corpus build`")
    return {token: found for token, found in ids.items() if found is not None}


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write `tokenizer.json` and the small configuration file transformers reads beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}\n',
        encoding="utf-8",
    )


FORMAT_VERSION = 1
SHARD_TOKENS = 4_000_000  # 8 MB a shard: easy to send in pieces
_BATCH = 256

TokenIds = npt.NDArray[np.uint16]


@dataclass
class _Stream:
    """One kind of document on its way to disk."""

    name: str
    folder: Path
    shards: list[dict[str, Any]] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    tokens: int = 0

    def extend(self, ids: Iterable[int]) -> None:
        self.pending.extend(ids)
        while len(self.pending) >= SHARD_TOKENS:
            self._write(self.pending[:SHARD_TOKENS])
            del self.pending[:SHARD_TOKENS]

    def close(self) -> None:
        if self.pending:
            self._write(self.pending)
            self.pending = []

    def _write(self, ids: list[int]) -> None:
        raw = np.asarray(ids, dtype="<u2").tobytes()
        path = self.folder / f"{self.name}-{len(self.shards):03d}.bin"
        path.write_bytes(raw)
        self.shards.append({"file": path.name, "tokens": len(ids), "sha256": sha256(raw).hexdigest()})
        self.tokens += len(ids)


def pack_documents(
    documents: Iterable[TrainingDocument],
    tokenizer: Tokenizer,
    folder: Path,
    *,
    fim_share: float,
    seed: int,
    command: str,
) -> dict[str, Any]:
    """Write `documents` to `folder` as packed token files and return the manifest.

    Streams: one per kind, and "held-out" for the documents that are never trained on. Every document ends with the
    end-of-text token. A share `fim_share` of the training documents is rearranged for filling in the middle
    (prefix, suffix, middle; Bavarian et al., arXiv 2207.14255), cut at two random characters.
    """
    if tokenizer.get_vocab_size() > 2**16:
        raise BadInput(
            "the vocabulary has more than 65,536 tokens", "packed files hold 16-bit ids: train a smaller tokenizer"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.bin"):
        stale.unlink()
    streams: dict[str, _Stream] = {}
    sources: Counter[tuple[str, str]] = Counter()
    special = special_ids(tokenizer)
    end = special[END_OF_TEXT]
    chooser = random.Random(seed)
    for batch in _batches(documents):
        texts = [_arrange(document, chooser, fim_share) for document in batch]
        encoded = _encode_pieces(tokenizer, texts, special)
        for document, ids in zip(batch, encoded, strict=True):
            name = "held-out" if document.held_out else document.kind
            streams.setdefault(name, _Stream(name, folder)).extend([*ids, end])
            sources[document.source, document.licence] += len(ids)
    for stream in streams.values():
        stream.close()
    manifest = {
        "format_version": FORMAT_VERSION,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "dtype": "uint16",
        "end_of_text": end,
        "vocabulary_size": tokenizer.get_vocab_size(),
        "tokenizer_hash": "sha256:" + sha256(tokenizer.to_str().encode()).hexdigest(),
        "fim_share": fim_share,
        "streams": {name: {"tokens": s.tokens, "shards": s.shards} for name, s in sorted(streams.items())},
        "sources": [
            {"source": source, "licence": licence, "tokens": tokens}
            for (source, licence), tokens in sorted(sources.items())
        ],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def read_corpus(folder: Path) -> dict[str, Any]:
    """The manifest of a packed corpus; BadInput when there is none or it is of another version."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise BadInput(f"no packed corpus in {folder}", "build one with `risk-lsp corpus build`")
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not JSON: {error}", "rebuild the corpus") from None
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version != FORMAT_VERSION:
        raise BadInput(f"{path} has format version {version}", f"this program reads version {FORMAT_VERSION}")
    found: dict[str, Any] = manifest
    return found


def read_stream(folder: Path, name: str) -> TokenIds:
    """All token ids of one stream, uint16[tokens], its shards checked against the manifest."""
    entry = read_corpus(folder)["streams"].get(name)
    if entry is None:
        raise BadInput(f"the packed corpus in {folder} has no stream {name!r}", "its manifest.json lists the streams")
    shards = []
    for shard in entry["shards"]:
        path = folder / shard["file"]
        raw = path.read_bytes() if path.is_file() else b""
        if sha256(raw).hexdigest() != shard["sha256"]:
            raise BadInput(f"{path} is missing or damaged", "copy the shard again or rebuild the corpus")
        shards.append(np.frombuffer(raw, dtype="<u2"))
    return np.concatenate(shards)


def _batches(documents: Iterable[TrainingDocument]) -> Iterator[list[TrainingDocument]]:
    batch: list[TrainingDocument] = []
    for document in documents:
        batch.append(document)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


class _Piece(NamedTuple):
    """A part of a document behind a special token, or behind none."""

    token: str | None
    text: str


def _arrange(document: TrainingDocument, chooser: random.Random, fim_share: float) -> list[_Piece]:
    """The document's text as the pieces to encode in order."""
    text = document.text
    if document.held_out or len(text) < 3 or chooser.random() >= fim_share:
        return [_Piece(None, text)]
    first, second = sorted(chooser.sample(range(1, len(text)), 2))
    return [
        _Piece(FIM_PREFIX, text[:first]),
        _Piece(FIM_SUFFIX, text[second:]),
        _Piece(FIM_MIDDLE, text[first:second]),
    ]


def _encode_pieces(tokenizer: Tokenizer, texts: list[list[_Piece]], special: dict[str, int]) -> Iterator[list[int]]:
    """The token ids of each text. A special token's name inside a text is text that somebody wrote."""
    tokenizer.encode_special_tokens = True
    encoded = iter(tokenizer.encode_batch([piece.text for text in texts for piece in text], add_special_tokens=False))
    for text in texts:
        ids: list[int] = []
        for piece in text:
            ids += [special[piece.token]] if piece.token else []
            ids += next(encoded).ids
        yield ids


Sequences = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Streams:
    """The training streams of a packed corpus with the share each has in a batch, and the held-out stream."""

    training: tuple[tuple[TokenIds, float], ...]
    held_out: TokenIds

    @classmethod
    def read(cls, folder: Path, model_written_share: float) -> Streams:
        """Streams "library" and "model-written" of `folder`; a missing one leaves its share to the other."""
        present = read_corpus(folder)["streams"]
        shares = {"library": 1.0 - model_written_share, "model-written": model_written_share}
        found = {name: share for name, share in shares.items() if name in present and share > 0}
        if not found or "held-out" not in present:
            raise BadInput(
                f"the packed corpus in {folder} lacks training or held-out texts", "rebuild it with more sources"
            )
        total = sum(found.values())
        training = tuple((read_stream(folder, name), share / total) for name, share in found.items())
        return cls(training, read_stream(folder, "held-out"))

    def batch(self, step: int, size: int, length: int, seed: int) -> Sequences:
        """int64[size, length + 1]: inputs are columns [:-1], targets columns [1:]."""
        chooser = np.random.default_rng((seed, step))
        streams = chooser.choice(len(self.training), size=size, p=[share for _, share in self.training])
        sequences = []
        for index in streams:
            stream = self.training[index][0]
            if len(stream) <= length:
                raise BadInput(f"a training stream has only {len(stream):,} tokens", f"a sequence takes {length + 1:,}")
            start = int(chooser.integers(0, len(stream) - length))
            sequences.append(stream[start : start + length + 1].astype(np.int64))
        return np.stack(sequences)

    def held_out_batches(self, size: int, length: int, batches: int) -> list[Sequences]:
        """The same first `batches` batches of held-out text every time."""
        per_batch, available = size * (length + 1), len(self.held_out)
        count = max(1, min(batches, available // per_batch))
        if available < per_batch:
            raise BadInput(
                f"only {available:,} held-out tokens", f"a batch takes {per_batch:,}: use shorter or fewer sequences"
            )
        taken = self.held_out[: count * per_batch].astype(np.int64)
        return list(taken.reshape(count, size, length + 1))
