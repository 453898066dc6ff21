"""What a frozen model gives for many texts, computed once: in memory, or in a file that is mapped into memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.encoding import Encoding
from risk_lsp.probe.features import feature_count, token_features
from risk_lsp.text.structure import statement_starts

_TEXTS_AT_ONCE = 128
_HALF_LIMIT = 60_000.0  # float16 ends at 65,504


def read_features(
    model: CodeModel,
    texts: Sequence[str],
    encodings: Sequence[Encoding],
    layers: Sequence[int],
    *,
    statistics: bool,
    cache: Path | None,
) -> NDArray[np.float16]:
    """float16[tokens, features], text after text. With `cache`, a folder, the file of an earlier run is used."""
    shape = (sum(map(len, encodings)), feature_count(len(layers), model.width, statistics=statistics))
    if cache is None:
        features = np.empty(shape, dtype=np.float16)
        _fill(features, model, texts, encodings, layers, statistics=statistics)
        return features
    path = cache / f"features-{_digest(model, texts, layers, statistics=statistics)}.npy"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        mapped = np.lib.format.open_memmap(unfinished, mode="w+", dtype=np.float16, shape=shape)
        _fill(mapped, model, texts, encodings, layers, statistics=statistics)
        mapped.flush()
        os.replace(unfinished, path)
    kept: NDArray[np.float16] = np.load(path, mmap_mode="r")
    return kept


def _fill(
    features: NDArray[np.float16],
    model: CodeModel,
    texts: Sequence[str],
    encodings: Sequence[Encoding],
    layers: Sequence[int],
    *,
    statistics: bool,
) -> None:
    place = 0
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        batch = slice(first, first + _TEXTS_AT_ONCE)
        boundaries = [
            # Only texts that need more than one window are cut, so only they need to be parsed.
            encoding.tokens_at(statement_starts(text, "python")).tolist() if len(encoding) >= model.context - 1 else ()
            for text, encoding in zip(texts[batch], encodings[batch], strict=True)
        ]
        for read in model.read_many(encodings[batch], layers, boundaries=boundaries, statistics=statistics):
            rows = token_features(read, statistics=statistics)
            features[place : place + len(rows)] = np.clip(rows, -_HALF_LIMIT, _HALF_LIMIT)
            place += len(rows)
        if first % (8 * _TEXTS_AT_ONCE) == 0:
            done = min(first + _TEXTS_AT_ONCE, len(texts))
            print(f"read {done:,} of {len(texts):,} programs", file=sys.stderr, flush=True)


def _digest(model: CodeModel, texts: Sequence[str], layers: Sequence[int], *, statistics: bool) -> str:
    """A name for what is read from these texts, whatever their labels."""
    digest = sha256(f"{model.weights_hash} {model.tokenizer_hash} {model.dtype} {[*layers]} {statistics}".encode())
    for text in texts:
        digest.update(sha256(text.encode("utf-8", "surrogatepass")).digest())
    return digest.hexdigest()[:24]
