"""What a frozen model gives for many texts, in memory or in files that are kept."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput
from risk_lsp.model.activations import Encoding
from risk_lsp.model.code_model import CodeModel
from risk_lsp.probe.features import feature_count, token_features
from risk_lsp.text.structure import statement_starts


class FeatureCache:
    """The features that one model gives at some layers, by text. BadInput if a file is damaged.

    Each addition is a pair of files: NUMBER.npy float16[tokens, features], and NUMBER.json, the digest and number of
    tokens of each of its texts, which is written last: files of a run that was cut short count for nothing.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder / sha256(key.encode()).hexdigest()[:16]
        self._places: dict[str, NDArray[np.float16]] = {}
        for index in sorted(self._folder.glob("*.json")):
            self._open(index)

    def get(self, text: str) -> NDArray[np.float16] | None:
        """float16[tokens, features] of one text, mapped from its file; None if it was not read yet."""
        return self._places.get(_digest(text))

    def add(self, texts: Sequence[str], features: Sequence[NDArray[np.float16]]) -> None:
        """Keep the features of more texts."""
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{len(list(self._folder.glob('*.json'))):05}-{os.getpid()}"
        np.save(self._folder / f"{name}.npy", np.concatenate(features))
        index = self._folder / f"{name}.json"
        index.with_suffix(".part").write_text(
            json.dumps([[_digest(text), len(rows)] for text, rows in zip(texts, features, strict=True)])
        )
        index.with_suffix(".part").replace(index)
        self._open(index)

    def _open(self, index: Path) -> None:
        try:
            features: NDArray[np.float16] = np.load(index.with_suffix(".npy"), mmap_mode="r")
            place = 0
            for digest, count in json.loads(index.read_text()):
                self._places[digest] = features[place : place + count]
                place += count
            if place != len(features):
                raise ValueError(f"{len(features)} tokens where {place} are listed")
        except (OSError, ValueError, TypeError) as error:
            raise BadInput(f"{index} is damaged: {error}", f"remove {self._folder}") from None


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


TEXTS_AT_ONCE = 512
_HALF_LIMIT = 60_000.0  # float16 ends at 65,504


def read_features(
    model: CodeModel,
    texts: Sequence[str],
    encodings: Sequence[Encoding],
    layers: Sequence[int],
    *,
    statistics: bool,
    cache: FeatureCache | None = None,
) -> NDArray[np.float16]:
    """float16[tokens, features], text after text. What the cache holds is not computed again; the rest is added."""
    places = np.cumsum([0, *map(len, encodings)])
    features = np.empty((places[-1], feature_count(len(layers), model.width, statistics=statistics)), dtype=np.float16)
    missing: list[int] = []
    for index, text in enumerate(texts):
        known = None if cache is None else cache.get(text)
        if known is None:
            missing.append(index)
        else:
            features[places[index] : places[index + 1]] = known
    for first in range(0, len(missing), TEXTS_AT_ONCE):
        batch = missing[first : first + TEXTS_AT_ONCE]
        chosen = [texts[index] for index in batch]
        rows = list(_read(model, chosen, [encodings[index] for index in batch], layers, statistics=statistics))
        for index, each in zip(batch, rows, strict=True):
            features[places[index] : places[index + 1]] = each
        if cache is not None:
            cache.add(chosen, rows)
        print(f"read {first + len(batch):,} of {len(missing):,} programs", file=sys.stderr, flush=True)
    return features


def _read(
    model: CodeModel, texts: Sequence[str], encodings: Sequence[Encoding], layers: Sequence[int], *, statistics: bool
) -> Iterator[NDArray[np.float16]]:
    boundaries = [
        # Only texts that need more than one window are cut, so only they need to be parsed.
        encoding.tokens_at(statement_starts(text, "python")).tolist() if len(encoding) >= model.window - 1 else ()
        for text, encoding in zip(texts, encodings, strict=True)
    ]
    for read in model.read_many(encodings, layers, boundaries=boundaries, statistics=statistics):
        rows = token_features(read, statistics=statistics)
        yield np.clip(rows, -_HALF_LIMIT, _HALF_LIMIT).astype(np.float16)
