"""Tiny models with random weights, and bundles around them, made on the spot."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from risk_lsp.lab.training.heads import HeadKind, SpanHead, new_head, tensors_of
from risk_lsp.lab.training.packing import save_tokenizer, train_tokenizer
from risk_lsp.model.code_model import CodeModel
from risk_lsp.probe.bundle import save_head
from risk_lsp.probe.calibration import Calibration
from risk_lsp.probe.manifest import Manifest, ModelIdentity, write_manifest
from risk_lsp.probe.token_hazards import Architecture, feature_count, uses_layout
from risk_lsp.text.normal_form import Reading

WIDTH, LAYERS, CONTEXT, HIDDEN = 16, 2, 64, 4
SAMPLE = """\
def largest(values):
    best = None
    for value in values:
        if best is None or value < best:
            best = value
    return best


def total(values):
    result = 0
    for value in values:
        result += value
    return result
"""


def save_model(folder: Path, *, context: int = CONTEXT, seed: int = 7) -> Path:
    """A Qwen2 model of two layers with random weights, and a tokenizer of 320 tokens."""
    tokenizer = train_tokenizer([SAMPLE] * 2, 320)
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=WIDTH,
        intermediate_size=24,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=context,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=None,
    )
    model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)  # fresh weights are so small that every distribution is flat
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    return folder


def random_head(architecture: HeadKind, features: int, hidden: int = HIDDEN, seed: int = 3) -> SpanHead:
    """A head whose weights and standardisation are random, in evaluation mode."""
    torch.manual_seed(seed)
    head = new_head(architecture, features, hidden)
    head.encoder.mean.normal_()
    head.encoder.scale.uniform_(0.5, 2.0)
    return head.eval()


def save_tiny_bundle(
    folder: Path,
    model_folder: Path,
    architecture: Architecture = "hazard",
    *,
    layers: tuple[int, ...] = (1, 2),
    statistics: bool = True,
    reading: Reading = "verbatim",
    host: Callable[[CodeModel], ModelIdentity] | None = None,
) -> Path:
    """A bundle with a random probe and its model inside, or with the host that `host` makes."""
    model = CodeModel.load(model_folder)
    layout = uses_layout(architecture)
    head = random_head(architecture, feature_count(len(layers), model.width, statistics=statistics, layout=layout))
    shutil.copytree(model_folder, folder / "model")
    hashes = (model.weights_hash, model.tokenizer_hash)
    manifest = Manifest(
        name=folder.name,
        created="2026-01-02T03:04:05+00:00",
        command="risk-lsp probe fit",
        host=ModelIdentity("bundled", "model", *hashes) if host is None else host(model),
        layers=layers,
        statistics=statistics,
        width=model.width,
        architecture=architecture,
        hidden=HIDDEN,
        reading=reading,
        probe_hash=save_head(tensors_of(head), folder),
        calibration=Calibration(theta=0.5, scale=0.2, power=0.9),
        novelty={"quantiles": [index / 50 for index in range(101)]},
    )
    write_manifest(manifest, folder)
    return folder


def read_json(bundle: Path) -> dict[str, Any]:
    """The manifest as plain JSON."""
    value: dict[str, Any] = json.loads((bundle / "manifest.json").read_text("utf-8"))
    return value


def change_manifest(bundle: Path, **changes: Any) -> None:
    """Set fields of the manifest; a dotted path is written with two underscores, `...` deletes."""
    value = read_json(bundle)
    for name, new in changes.items():
        *parents, last = name.split("__")
        place = value
        for parent in parents:
            place = place[parent]
        if new is ...:
            del place[last]
        else:
            place[last] = new
    (bundle / "manifest.json").write_text(json.dumps(value), encoding="utf-8")
