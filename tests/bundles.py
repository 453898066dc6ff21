"""Bundles for tests, made on the spot."""

from __future__ import annotations

from pathlib import Path

import torch

from risk_lsp.lab.training.heads import new_head, tensors_of
from risk_lsp.model.code_model import CodeModel
from risk_lsp.probe.bundle import save_head
from risk_lsp.probe.calibration import Calibration
from risk_lsp.probe.manifest import Manifest, ModelIdentity, write_manifest
from risk_lsp.probe.token_hazards import feature_count
from tests.model.conftest import save_family

LAYERS = (1, 3)


def save_tiny_bundle(folder: Path, family: str = "Llama") -> Path:
    """Write a random model of a family and a random hazard probe for it."""
    model = CodeModel.load(save_family(folder / "model", family), device="cpu", threads=1)
    torch.manual_seed(11)
    head = new_head("hazard", feature_count(len(LAYERS), model.width, statistics=True), 8)
    manifest = Manifest(
        name="tiny",
        created="2026-01-01T00:00:00+00:00",
        command="made by a test",
        host=ModelIdentity("bundled", "model", model.weights_hash, model.tokenizer_hash),
        layers=LAYERS,
        statistics=True,
        width=model.width,
        architecture="hazard",
        hidden=8,
        probe_hash=save_head(tensors_of(head), folder),
        calibration=Calibration(theta=0.5),
        reference={"line": [{"low": 0.0, "high": 1.0, "predicted": 0.1, "observed": 0.12, "n": 345}]},
    )
    write_manifest(manifest, folder)
    return folder
