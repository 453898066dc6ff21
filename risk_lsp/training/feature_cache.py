"""Features of texts on disk: files that are mapped into memory, never changed, and only ever more of them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BadInput


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
