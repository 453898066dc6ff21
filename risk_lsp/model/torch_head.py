"""The output head of the torch decoder: logits of a large vocabulary, and statistics that need not hold them all."""

from __future__ import annotations

import torch
from torch import Tensor

from risk_lsp.model.torch_linear import Linear

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
