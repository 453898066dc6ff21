"""The probe that learnt together with its model: written beside the tuned model, read when a bundle is made of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from risk_lsp.errors import BadInput
from risk_lsp.lab.training.heads import HazardHead, new_head, tensors_of
from risk_lsp.lab.training.training_record import read_training_record
from risk_lsp.probe.bundle import PROBE_FILE, save_head
from risk_lsp.probe.features import feature_count
from risk_lsp.text.normal_form import READINGS, Reading

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
