"""What a frozen model gives for many texts, in memory; on request each text is read once and for all."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.encoding import Encoding
from risk_lsp.probe.features import feature_count, token_features
from risk_lsp.text.structure import statement_starts
from risk_lsp.training.feature_cache import FeatureCache

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
        encoding.tokens_at(statement_starts(text, "python")).tolist() if len(encoding) >= model.context - 1 else ()
        for text, encoding in zip(texts, encodings, strict=True)
    ]
    for read in model.read_many(encodings, layers, boundaries=boundaries, statistics=statistics):
        rows = token_features(read, statistics=statistics)
        yield np.clip(rows, -_HALF_LIMIT, _HALF_LIMIT).astype(np.float16)
