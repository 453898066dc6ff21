"""Checkpoints of a training run: safetensors shards of bounded size and a JSON file; no pickles."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn, optim

from risk_lsp.errors import BadInput

SHARD_BYTES = 15 * 2**20


@dataclass
class Progress:
    """How far a run has come: optimizer steps, tokens seen, seconds of the budget spent."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0


def save_checkpoint(folder: Path, model: nn.Module, optimizers: list[optim.Optimizer], progress: Progress) -> None:
    """Write weights (float32) and optimizer moments (bfloat16) to `folder`, replacing it only when all is written.

    At every moment there is a whole checkpoint at `folder` or where `find_checkpoint` looks.
    """
    fresh, old = _beside(folder)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    tensors = {f"weights.{name}": tensor for name, tensor in _weights(model).items()}
    for index, optimizer in enumerate(optimizers):
        for position, values in optimizer.state_dict()["state"].items():
            for key, value in values.items():
                kept = torch.as_tensor(value)
                moment = kept.to(torch.bfloat16) if kept.ndim else kept
                tensors[f"optimizer.{index}.{position}.{key}"] = moment
    for number, shard in enumerate(_shards(tensors)):
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in shard.items()},
            fresh / f"state-{number:03d}.safetensors",
        )
    (fresh / "progress.json").write_text(json.dumps(asdict(progress)) + "\n", encoding="utf-8")
    if folder.is_dir():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def find_checkpoint(folder: Path) -> bool:
    """Whether there is a checkpoint at `folder`; one that was about to be replaced is put back."""
    _, old = _beside(folder)
    if not folder.is_dir() and old.is_dir():
        old.rename(folder)
    return folder.is_dir()


def load_checkpoint(folder: Path, model: nn.Module, optimizers: list[optim.Optimizer]) -> Progress:
    """Restore what `save_checkpoint` wrote; BadInput when it is damaged or belongs to a model of another shape."""
    tensors: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("state-*.safetensors")):
        try:
            tensors.update(load_file(path))
        except SafetensorError as error:
            raise BadInput(f"{path} is damaged: {error}", f"delete {folder} to start again, or restore it") from None
    saved = {name.removeprefix("weights."): tensor for name, tensor in tensors.items() if name.startswith("weights.")}
    own = _weights(model)
    if {name: tuple(t.shape) for name, t in saved.items()} != {name: tuple(t.shape) for name, t in own.items()}:
        raise BadInput(
            f"the checkpoint in {folder} belongs to a model of another shape",
            "give the shape it was made with, or another --out",
        )
    model.load_state_dict(saved, strict=False)
    for index, optimizer in enumerate(optimizers):
        _restore(optimizer, f"optimizer.{index}.", tensors)
    return Progress(**json.loads((folder / "progress.json").read_text("utf-8")))


def _beside(folder: Path) -> tuple[Path, Path]:
    return folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")


def _weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters by name; a tied one is listed once."""
    return {name: parameter.data for name, parameter in model.named_parameters()}


def _restore(optimizer: optim.Optimizer, prefix: str, tensors: dict[str, torch.Tensor]) -> None:
    state = optimizer.state_dict()
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            position, key = name.removeprefix(prefix).split(".", 1)
            state["state"].setdefault(int(position), {})[key] = tensor.float()
    optimizer.load_state_dict(state)


def _shards(tensors: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    shards: list[dict[str, torch.Tensor]] = [{}]
    used = 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        if shards[-1] and used + size > SHARD_BYTES:
            shards.append({})
            used = 0
        shards[-1][name] = tensor
        used += size
    return shards
