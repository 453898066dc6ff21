"""How surprised a model was by each token, and how unsure before it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_LOGITS_PER_CHUNK = 1 << 20  # 4 MiB of float32


def token_statistics(
    final: Tensor, targets: Tensor, logits: Callable[[Tensor], Tensor], vocabulary_size: int
) -> tuple[Tensor, Tensor]:
    """Log-probability of each target and entropy of the distribution it was drawn from, in nats.

    `final` [rows, width] predicts `targets` int64[rows]; `logits` maps some rows to float32[rows, vocabulary]. Works in
    chunks of rows, so that memory does not grow with rows x vocabulary. Returns two float32[rows] on the CPU.
    """
    rows = max(1, _LOGITS_PER_CHUNK // vocabulary_size)
    log_probabilities = torch.empty(len(targets), dtype=torch.float32)
    entropies = torch.empty(len(targets), dtype=torch.float32)
    for first in range(0, len(targets), rows):
        part = slice(first, first + rows)
        distribution = torch.log_softmax(logits(final[part]), dim=-1)
        chosen = targets[part].to(distribution.device).unsqueeze(-1)
        log_probabilities[part] = distribution.gather(-1, chosen).squeeze(-1).cpu()
        entropies[part] = torch.special.entr(distribution.exp()).sum(dim=-1).cpu()
    return log_probabilities, entropies
