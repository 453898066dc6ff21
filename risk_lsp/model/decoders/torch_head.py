"""The last step of a decoder in torch: log-probabilities of tokens, and how surprised and unsure the model was."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from risk_lsp.model.decoders.torch_block import Linear

_ROWS_AT_ONCE = 256
_WORDS_AT_ONCE = 8192  # 8 MiB of float32 with as many rows: they stay in the cache while they are worked on


class TorchHead:
    """Maps normalised outputs to logits by the rows of `weight` [vocabulary, width]."""

    def __init__(self, weight: Tensor) -> None:
        self._parts = [Linear(words.contiguous()) for words in torch.split(weight, _WORDS_AT_ONCE)]

    def logits(self, final: Tensor) -> Tensor:
        """float32[rows, vocabulary] for contiguous [rows, width]."""
        return torch.cat([part(final) for part in self._parts], dim=1).float()

    def statistics(self, final: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability of each target and entropy of the distribution it was drawn from, in nats: float32[rows]."""
        found = [
            self._statistics(rows, chosen)
            for rows, chosen in zip(torch.split(final, _ROWS_AT_ONCE), torch.split(targets, _ROWS_AT_ONCE), strict=True)
        ]
        log_probabilities, entropies = (torch.cat(each) for each in zip(*found, strict=True))
        return log_probabilities, entropies

    def _statistics(self, rows: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """By sums over parts of the vocabulary, each scaled by the largest logit so far (arXiv 1805.02867)."""
        largest = torch.full((len(rows),), -torch.inf, device=rows.device)
        chosen, total, weighted = torch.zeros((3, len(rows)), device=rows.device)
        first = 0
        for part in self._parts:
            logits = part(rows).float()
            inside = (targets >= first) & (targets < first + part.outputs)
            chosen[inside] = logits[inside, targets[inside] - first]
            first += part.outputs
            above = torch.maximum(largest, logits.amax(dim=1))
            moved = largest - above
            scale = moved.exp()
            # total: of exp(z - largest); weighted: of exp(z - largest) (z - largest).
            weighted = scale * torch.where(total > 0, weighted + moved * total, 0.0)
            total *= scale
            logits -= above[:, None]
            exponentials = logits.exp()
            total += exponentials.sum(dim=1)
            weighted += torch.linalg.vecdot(exponentials, logits)
            largest = above
        # H = -sum p log p with p = exp(z - largest) / total.
        return chosen - largest - total.log(), total.log() - weighted / total


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
