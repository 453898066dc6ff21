"""How much a model prefers variants of a text to the text, where they begin to differ: one run for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from risk_lsp.model.code_model import CodeModel


def preferences(model: CodeModel, text: str, variants: Sequence[str]) -> NDArray[np.float64]:
    """For each variant, log p(its first token that differs) - log p(the text's token there), in nats.

    0.0 where nothing is known: without an output head, at the first token, or for a variant that only ends earlier.
    """
    found = np.zeros(len(variants))
    token_ids = model.encode(text).token_ids.astype(np.int64)
    if not model.host.has_head or len(token_ids) < 2:
        return found
    rows = _log_probabilities(model, token_ids)
    for index, variant in enumerate(variants):
        other = model.encode(variant).token_ids
        shortest = min(len(token_ids), len(other))
        differ = np.flatnonzero(token_ids[:shortest] != other[:shortest])
        if len(differ) and differ[0] > 0:
            place = int(differ[0])
            found[index] = rows[place, other[place]] - rows[place, token_ids[place]]
    return found


def _log_probabilities(model: CodeModel, token_ids: NDArray[np.int64]) -> NDArray[np.float16]:
    """float16[tokens, vocabulary]: of every token at every place, given those before it in its window."""
    prefix = np.array(model.tokenizer.prefix, dtype=np.int64)
    room = model.context - len(prefix)
    found = np.zeros((len(token_ids), model.vocabulary_size), dtype=np.float16)
    step = max(1, room // 2)
    kept = 1
    for start in range(0, max(1, len(token_ids) - room + step), step):
        window = token_ids[start : start + room]
        (run,) = model.host.run([np.concatenate([prefix, window])], [], to_end=True)
        logits = model.host.logits(run.final[len(prefix) :])
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        end = min(start + len(window) + 1, len(token_ids))
        found[kept:end] = logits[kept - start - 1 : end - start - 1]
        kept = end
    return found
