"""The rank of each token among all that a model expected in its place: an input that probe_variants.py tries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from risk_lsp.model.code_model import CodeModel
from risk_lsp.model.windows import plan_windows

_ROWS = 256  # of logits in memory at a time


def log_ranks(model: CodeModel, texts: Sequence[str], cache: Path) -> NDArray[np.float16]:
    """log(1 + rank) of every token, text after text; 0 for the likeliest one, and for a text's first token.

    Kept in `cache` by model and texts.
    """
    name = sha256("\0".join([model.weights_hash, model.tokenizer_hash, *texts]).encode("utf-8", "replace")).hexdigest()
    path = cache / f"ranks-{name[:16]}.npy"
    if path.is_file():
        kept: NDArray[np.float16] = np.load(path)
        return kept
    found = np.concatenate([np.log1p(_ranks(model, text)) for text in texts]).astype(np.float16)
    cache.mkdir(parents=True, exist_ok=True)
    np.save(path, found)
    return found


def _ranks(model: CodeModel, text: str) -> NDArray[np.int64]:
    tokens = model.encode(text).token_ids
    prefix = model.tokenizer.prefix
    found = np.zeros(len(tokens), dtype=np.int64)
    for start, keep, end in plan_windows(tokens, model.context - len(prefix), ()):
        sequence = np.concatenate([prefix, tokens[start:end]]).astype(np.int64)
        (run,) = model.host.run([sequence], (), to_end=True)
        first = max(keep - start + len(prefix), 1)  # nothing comes before the first token of all
        ranks = list(_of_rows(model, run.final[first - 1 : len(sequence) - 1], sequence[first:]))
        found[start - len(prefix) + first : end] = np.concatenate([np.zeros(0, dtype=np.int64), *ranks])
    return found


def _of_rows(model: CodeModel, final: NDArray[np.float32], targets: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """How many tokens each row of `final` expects more than its target."""
    for first in range(0, len(targets), _ROWS):
        part = slice(first, first + _ROWS)
        logits = np.asarray(model.host.logits(final[part]))
        own = np.take_along_axis(logits, targets[part][:, None], axis=1)
        yield (logits > own).sum(axis=1)
