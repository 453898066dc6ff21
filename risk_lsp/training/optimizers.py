"""Optimizers of the default model: Muon for the decoder's matrices, AdamW for embeddings and norms."""

from __future__ import annotations

from torch import nn, optim


def build_optimizers(model: nn.Module, rate: float, weight_decay: float) -> list[optim.Optimizer]:
    """Muon (Jordan et al. 2024; scaled as in arXiv 2502.16982, so that one rate fits both) and AdamW.

    Embeddings, norms and biases go to AdamW; every other matrix goes to Muon.
    """
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.ndim == 2 and "embed" not in name and "lm_head" not in name
        (matrices if is_matrix else others).append(parameter)
    muon = optim.Muon(matrices, lr=rate, weight_decay=weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    adamw = optim.AdamW(others, lr=rate, weight_decay=0.0, betas=(0.9, 0.95))
    return [muon, adamw]


def set_rate(optimizers: list[optim.Optimizer], rate: float) -> None:
    """Set the learning rate of every parameter group."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
