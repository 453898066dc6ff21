"""A small model derived from a pretrained one: its lowest layers, and the part of its vocabulary that code uses."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from risk_lsp.errors import BadInput
from risk_lsp.lab.training.training_files import read_training_record, write_training_record
from risk_lsp.model.decoders.torch_weights import open_weights
from risk_lsp.model.host import NO_HEAD, DecoderShape, decoder_shape
from risk_lsp.model.registry import catalogue
from risk_lsp.model.sources import SCALES, ModelFolder, hash_weights, locate_model
from risk_lsp.model.tokenizer import gguf_tokenizer, load_tokenizer
from risk_lsp.text.normal_form import normal_form
from risk_lsp.text.source_files import find_files, read_source

Tensors = dict[str, NDArray[Any]]

_EMBEDDINGS = "model.embed_tokens.weight"
_HEAD = "lm_head.weight"
_FINAL_NORM = "model.norm.weight"
_BLOCK = "model.layers."


def lowest_layers(config: dict[str, Any], weights: Tensors, count: int) -> tuple[dict[str, Any], Tensors]:
    """Config and weights of the lowest `count` blocks of a Llama- or Qwen-shaped model, with its final norm.

    The head is left out: the shorter model predicts nothing until it is trained to. Raises BadInput for more blocks
    than the model has.
    """
    if not 1 <= count <= config["num_hidden_layers"]:
        raise BadInput(f"{count} layers cannot be kept", f"the model has 1 to {config['num_hidden_layers']}")
    kept = {
        name: tensor
        for name, tensor in weights.items()
        if name in (_EMBEDDINGS, _FINAL_NORM) or (name.startswith(_BLOCK) and int(name.split(".")[2]) < count)
    }
    shorter = {**config, "num_hidden_layers": count, "tie_word_embeddings": True}
    if count < config["num_hidden_layers"]:
        shorter[NO_HEAD] = True
    shorter.pop("layer_types", None)
    return shorter, kept


def used_tokens(tokenizer: Tokenizer, texts: Iterable[str], at_least: int) -> NDArray[np.int64]:
    """The ids, rising, of tokens that `texts` use at least so often, and of all that these are merged from.

    Single bytes and special tokens are always among them, so that every text can still be read.
    """
    counts: Counter[int] = Counter()
    for text in texts:
        counts.update(tokenizer.encode(text, add_special_tokens=False).ids)
    description = json.loads(tokenizer.to_str())
    vocabulary: dict[str, int] = description["model"]["vocab"]
    parts = {"".join(pair): pair for pair in map(_pair, description["model"]["merges"])}
    kept = {token for token in vocabulary if len(token) == 1}
    pending = [token for token, number in vocabulary.items() if counts[number] >= at_least]
    while pending:
        token = pending.pop()
        if token not in kept:
            kept.add(token)
            pending.extend(parts.get(token, ()))
    special = {token["id"] for token in description["added_tokens"]}
    special.update(number for token in _before_texts(description) for number in token["ids"])
    return np.array(sorted(special.union(vocabulary[token] for token in kept)), dtype=np.int64)


def cut_tokenizer(tokenizer: Tokenizer, kept: NDArray[np.int64]) -> Tokenizer:
    """The tokenizer with the tokens `kept` alone, renumbered in their order; a BPE of others is made of these."""
    description = json.loads(tokenizer.to_str())
    number = {int(old): new for new, old in enumerate(kept)}
    model = description["model"]
    model["vocab"] = {token: number[old] for token, old in model["vocab"].items() if old in number}
    model["merges"] = [
        pair for pair in map(_pair, model["merges"]) if all(part in model["vocab"] for part in (*pair, "".join(pair)))
    ]
    for token in description["added_tokens"]:
        token["id"] = number[token["id"]]
    for token in _before_texts(description):
        token["ids"] = [number[old] for old in token["ids"]]
    return Tokenizer.from_str(json.dumps(description))


def cut_vocabulary(config: dict[str, Any], weights: Tensors, kept: NDArray[np.int64]) -> tuple[dict[str, Any], Tensors]:
    """Config and weights with the embeddings, and the head if there is one, of the tokens `kept` alone."""
    shorter = {name: tensor[kept] if name in (_EMBEDDINGS, _HEAD) else tensor for name, tensor in weights.items()}
    number = {int(old): new for new, old in enumerate(kept)}
    special = ("bos_token_id", "eos_token_id", "pad_token_id")
    renumbered = {name: number[config[name]] for name in special if config.get(name) in number}
    return {**config, "vocab_size": len(kept), **renumbered}, shorter


def in_eight_bits(weights: Tensors, group: int = 64) -> Tensors:
    """The matrices in eight bits, as model/sources.py reads them; vectors in float32.

    Each `group` of columns of a row has a scale of its own, float16, so that its largest value is 127. A matrix whose
    columns `group` does not divide has one scale a row.
    """
    found: Tensors = {}
    for name, tensor in weights.items():
        values = tensor.astype(np.float32)
        if values.ndim != 2:
            found[name] = values
            continue
        rows, columns = values.shape
        grouped = values.reshape(rows, -1, group if columns % group == 0 else columns)
        scales = (np.abs(grouped).max(axis=2) / 127.0).astype(np.float16)
        divisors = np.where(scales == 0, 1, scales).astype(np.float32)
        found[name] = np.rint(grouped / divisors[:, :, None]).clip(-127, 127).astype(np.int8).reshape(rows, columns)
        found[name + SCALES] = scales
    return found


def write_model(
    folder: Path,
    config: dict[str, Any],
    weights: Tensors,
    tokenizer: Tokenizer,
    *,
    halved: bool = False,
    max_bytes: int = 45_000_000,
) -> None:
    """Write config.json, tokenizer.json and safetensors of at most `max_bytes` each, in the types that are given.

    With `halved`, all tensors are written in bfloat16. Weights that the folder holds already are removed.
    """
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    shards: list[dict[str, torch.Tensor]] = [{}]
    for name, values in weights.items():
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        tensor = tensor.to(torch.bfloat16) if halved else tensor
        if shards[-1] and sum(each.nbytes for each in shards[-1].values()) + tensor.nbytes > max_bytes:
            shards.append({})
        shards[-1][name] = tensor
    for stale in folder.glob("*.safetensors"):
        stale.unlink()
    names = [f"model-{number:05d}-of-{len(shards):05d}.safetensors" for number in range(1, len(shards) + 1)]
    for name, shard in zip(names, shards, strict=True):
        save_file(shard, folder / name, metadata={"format": "pt"})
    index = {tensor: name for name, shard in zip(names, shards, strict=True) for tensor in shard}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}) + "\n")
    written = {key: value for key, value in config.items() if key not in ("dtype", "torch_dtype")}
    written |= {"dtype": "bfloat16"} if halved else {}
    (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}\n')


def _before_texts(description: dict[str, Any]) -> list[dict[str, Any]]:
    """The special tokens that a tokenizer puts around texts, as its post-processor describes them."""
    return list(((description["post_processor"] or {}).get("special_tokens") or {}).values())


def _pair(merge: str | list[str]) -> tuple[str, str]:
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second


@dataclass(frozen=True)
class OriginModel:
    """A plain Llama, Qwen2 or Qwen3 model."""

    folder: ModelFolder
    shape: DecoderShape

    @classmethod
    def at(cls, path: Path) -> OriginModel:
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


def add_derive_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp train derive`."""
    parser.add_argument("out", type=Path, help="folder for the smaller model")
    parser.add_argument(
        "--model", type=Path, required=True, help="folder or GGUF file of a plain Llama, Qwen2 or Qwen3 model"
    )
    parser.add_argument("--layers", type=int, help="how many of the lowest blocks are kept (default: all)")
    parser.add_argument(
        "--texts", type=Path, nargs="+", help="Python files, or folders of them: tokens that they use are kept"
    )
    parser.add_argument("--at-least", type=int, default=20, help="times a token has to be used (default 20)")
    parser.add_argument("--eight-bits", action="store_true", help="keep matrices in eight bits, not in bfloat16")
    parser.add_argument("--licence", help="of the model, for the record (default: what it or the catalogue says)")


def run_derive(args: argparse.Namespace) -> int:
    """Derive the smaller model; returns the exit code."""
    origin = OriginModel.at(args.model)
    config, tokenizer = origin.config, origin.tokenizer
    weights = origin.weights(origin.shape.layers if args.layers is None else min(args.layers, origin.shape.layers))
    if args.layers is not None:
        config, weights = lowest_layers(config, weights, args.layers)
    if args.texts:
        paths = [found.path for given in args.texts for found in find_files(given)]
        texts = []
        for path in paths:
            try:
                texts.append(normal_form(read_source(path)).text)
            except BadInput as error:
                print(f"left out: {error}", file=sys.stderr)
        kept = used_tokens(tokenizer, texts, args.at_least)
        print(f"{len(kept):,} of {tokenizer.get_vocab_size():,} tokens kept, by {len(texts):,} files", file=sys.stderr)
        config, weights = cut_vocabulary(config, weights, kept)
        tokenizer = cut_tokenizer(tokenizer, kept)
    record = origin.record(args.licence, config["num_hidden_layers"], config["vocab_size"])
    if record["derived_from"]["licence"] is None:
        print(f"{args.model} does not say its licence: name it with --licence for the record", file=sys.stderr)
    weights = in_eight_bits(weights) if args.eight_bits else weights
    write_model(args.out, config, weights, tokenizer, halved=not args.eight_bits)
    write_training_record(args.out, record)
    return 0
