"""What a training run writes: checkpoints, how the model came about, and the probe that learnt with it; no pickles."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn, optim

from risk_lsp.errors import BadInput
from risk_lsp.lab.training.heads import HazardHead, new_head, tensors_of
from risk_lsp.probe.bundle import PROBE_FILE, save_head
from risk_lsp.probe.token_hazards import feature_count
from risk_lsp.text.normal_form import READINGS, Reading

_FILE = "training.json"


def read_training_record(folder: Path) -> dict[str, Any]:
    """The record in a model's folder, or else the one beside it, where `train model` writes; empty where neither is.

    A GGUF file has none. Raises BadInput for a damaged record.
    """
    for path in (folder / _FILE, folder.parent / _FILE):
        if folder.is_dir() and path.is_file():
            try:
                record = json.loads(path.read_text("utf-8"))
            except (OSError, ValueError):
                record = None
            if not isinstance(record, dict):
                raise BadInput(f"{path}, which says how the model came about, is damaged", "mend or remove it")
            return record
    return {}


def write_training_record(folder: Path, record: dict[str, Any]) -> None:
    """Write the record into a model's folder."""
    (folder / _FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


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
        state, prefix = optimizer.state_dict(), f"optimizer.{index}."
        for name, tensor in tensors.items():
            if name.startswith(prefix):
                position, key = name.removeprefix(prefix).split(".", 1)
                state["state"].setdefault(int(position), {})[key] = tensor.float()
        optimizer.load_state_dict(state)
    return Progress(**json.loads((folder / "progress.json").read_text("utf-8")))


def _beside(folder: Path) -> tuple[Path, Path]:
    return folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")


def _weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters by name; a tied one is listed once."""
    return {name: parameter.data for name, parameter in model.named_parameters()}


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


ARCHITECTURE: Final = "lines"


@dataclass(frozen=True)
class TunedProbe:
    """What `train tune` wrote: the folder, the layers that the probe reads, its width, and how it reads a text."""

    folder: Path
    layers: tuple[int, ...]
    hidden: int
    reading: Reading

    @classmethod
    def at(cls, folder: Path) -> TunedProbe:
        """The probe in the folder that `train tune` was given. BadInput if it holds none."""
        options = read_training_record(folder / "model").get("tuned", {}).get("options", {})
        layers, hidden, reading = (options.get(name) for name in ("layers", "hidden", "reading"))
        if not (folder / PROBE_FILE).is_file() or not layers or not hidden or reading not in READINGS:
            raise BadInput(f"{folder} holds no tuned probe", "name the folder that `risk-lsp train tune` wrote")
        return cls(folder, tuple(layers), int(hidden), reading)

    def head(self, width: int) -> HazardHead:
        """The probe, for a model of `width`. BadInput if it was tuned with a model of another width."""
        head = new_probe(width, len(self.layers), self.hidden)
        try:
            head.load_state_dict(load_file(self.folder / PROBE_FILE))
        except (SafetensorError, RuntimeError, OSError) as error:
            raise BadInput(
                f"the probe in {self.folder} does not fit a model of width {width}: {error}",
                "name the model that it was tuned with, or one derived from that",
            ) from None
        return head.eval()


def new_probe(width: int, layers: int, hidden: int) -> HazardHead:
    """A probe of `layers` residual streams of a model of `width`, to be tuned."""
    head = new_head(ARCHITECTURE, feature_count(layers, width, statistics=False, layout=True), hidden)
    assert isinstance(head, HazardHead)
    return head


def save_tuned_probe(head: torch.nn.Module, folder: Path) -> None:
    """Write the probe into the folder of the tuned model."""
    save_head(tensors_of(head), folder)
