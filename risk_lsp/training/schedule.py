"""Learning-rate schedule over the share of the time budget that is spent, so that it fits any machine."""

from __future__ import annotations


def rate_factor(progress: float, *, warm_up: float = 0.02, decay: float = 0.35) -> float:
    """Factor in [0, 1] for the peak learning rate at `progress` in [0, 1]: warm-up, plateau, linear decay to 0.

    Warm-up-stable-decay (Hu et al., arXiv 2404.06395): the plateau lets a run be prolonged from its last checkpoint.
    """
    if progress < warm_up:
        return max(progress, 0.0) / warm_up
    return min(1.0, max(0.0, (1.0 - progress) / decay))
