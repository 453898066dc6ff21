"""The model that a smaller one is derived from: a folder or a GGUF file, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from risk_lsp.errors import BadInput
from risk_lsp.lab.deriving.derivation import Tensors
from risk_lsp.lab.training.training_record import read_training_record
from risk_lsp.model.decoders.decoder_shape import DecoderShape, decoder_shape
from risk_lsp.model.decoders.torch_weights import open_weights
from risk_lsp.model.registry import catalogue
from risk_lsp.model.sources import ModelFolder, hash_weights, locate_model
from risk_lsp.model.tokenizer import gguf_tokenizer, load_tokenizer


@dataclass(frozen=True)
class Origin:
    """A plain Llama, Qwen2 or Qwen3 model."""

    folder: ModelFolder
    shape: DecoderShape

    @classmethod
    def at(cls, path: Path) -> Origin:
        """The model of a folder or a GGUF file. Raises ModelError, or BadInput for one of another shape."""
        folder = locate_model(path)
        shape = decoder_shape(folder.config)
        if shape is None:
            raise BadInput(f"nothing can be derived from {path}", "name a plain Llama, Qwen2 or Qwen3 model")
        if "frequency_factors" in folder.config.get("rope_parameters", {}):
            raise BadInput(
                f"{path} divides the frequencies of its positions by factors, which a config.json cannot say",
                "name the same model as a folder of safetensors",
            )
        return cls(folder, shape)

    @property
    def config(self) -> dict[str, Any]:
        """What config.json says, or would say."""
        return self.folder.config

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, for a tokenizer.json."""
        gguf = self.folder.gguf
        own = load_tokenizer(self.folder.path, self.folder.name) if gguf is None else gguf_tokenizer(gguf)
        return own.standalone()

    def weights(self, layers: int) -> Tensors:
        """The tensors of the lowest blocks, the embeddings, the final norm and the head, in float32. ModelError."""
        opened = open_weights(self.folder, self.shape)
        self.shape.require(opened.shapes, self.folder.name, layers, head=True)
        tensors: Tensors = {}
        for name, sizes in self.shape.tensors(layers, head=True):
            target = torch.empty(sizes)
            opened.copy(name, target)
            tensors[name] = target.numpy()
        return tensors

    def record(self, licence: str | None, layers: int, vocabulary: int) -> dict[str, Any]:
        """The training record of a model that keeps so many layers and tokens of this one.

        A record that this model brings goes on, and names what it was derived from itself. licence: of this model,
        where neither the record, nor the catalogue, nor the file says it.
        """
        record = read_training_record(self.folder.path)
        source = record.get("derived_from") or self._source(licence)
        return {**record, "derived_from": {**source, "layers": layers, "vocabulary": vocabulary}}

    def _source(self, licence: str | None) -> dict[str, Any]:
        weights_hash = hash_weights(self.folder.path)
        known = next((model for model in catalogue() if model.weights_hash == weights_hash), None)
        said = self.folder.gguf.metadata.get("general.license") if self.folder.gguf is not None else None
        return {
            "name": self.folder.name if known is None else known.name,
            "licence": licence or (said if known is None else known.licence),
            "weights_hash": weights_hash,
        }
