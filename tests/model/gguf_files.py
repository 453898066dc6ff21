"""GGUF files for tests: small models as llama.cpp's converter writes them, and files put together byte by byte."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

_NAMES = {
    "model.embed_tokens.": "token_embd.",
    "model.norm.": "output_norm.",
    "lm_head.": "output.",
    "model.layers.": "blk.",
    ".input_layernorm.": ".attn_norm.",
    ".post_attention_layernorm.": ".ffn_norm.",
    ".self_attn.q_proj.": ".attn_q.",
    ".self_attn.k_proj.": ".attn_k.",
    ".self_attn.v_proj.": ".attn_v.",
    ".self_attn.o_proj.": ".attn_output.",
    ".self_attn.q_norm.": ".attn_q_norm.",
    ".self_attn.k_norm.": ".attn_k_norm.",
    ".mlp.gate_proj.": ".ffn_gate.",
    ".mlp.up_proj.": ".ffn_up.",
    ".mlp.down_proj.": ".ffn_down.",
}


def write_gguf(
    folder: Path,
    path: Path,
    *,
    kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    rules: str = "gpt-2",
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """The model of a transformers folder as a GGUF file; matrices in the number type `kind`, the rest in float32.

    rules: how the tokenizer splits words, by llama.cpp's name. settings: more of the metadata, by key.
    """
    config = json.loads((folder / "config.json").read_text())
    family = config["model_type"]
    writer = gguf.GGUFWriter(path, family)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    if config.get("head_dim"):
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
    _add_tokenizer(writer, json.loads((folder / "tokenizer.json").read_text()), config, rules)
    for key, value in (settings or {}).items():
        # What the writer holds so far is one table, in which later values replace earlier ones.
        sub_type = gguf.GGUFValueType.get_type(value[0]) if isinstance(value, list) else None
        writer.kv_data[0].pop(key, None)
        writer.add_key_value(key, value, gguf.GGUFValueType.get_type(value), sub_type)
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    for name, values in load_file(folder / "model.safetensors").items():
        if family == "llama":
            values = next((_permuted(values, count) for part, count in heads.items() if part in name), values)
        stored = kind if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(gguf_name(name), quantised(values, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def quantised(values: NDArray[np.float32], kind: gguf.GGMLQuantizationType) -> NDArray[Any]:
    """Numbers in a type of GGUF; of those that the gguf package reads and does not write, Q4_K."""
    if kind is gguf.GGMLQuantizationType.Q4_K:
        return _in_q4_k(values)
    stored: NDArray[Any] = gguf.quants.quantize(values, kind)
    return stored


def _in_q4_k(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """uint8[rows, 144 for every 256 columns]: two scales, 8 scales and 8 offsets in six bits, numbers in four bits.

    The layout: block_q4_K in https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h
    """
    parts = values.reshape(-1, 8, 32)
    offsets = np.maximum(0, -parts.min(axis=2))
    scales = (parts.max(axis=2) + offsets) / 15
    large = np.stack([scales.max(axis=1), offsets.max(axis=1)], axis=1) / 63
    large = large.astype(np.float16)
    steps = np.where(large == 0, 1, large).astype(np.float32)
    scale = np.rint(scales / steps[:, :1]).clip(0, 63).astype(np.uint8)
    offset = np.rint(offsets / steps[:, 1:]).clip(0, 63).astype(np.uint8)
    factors, shifts = scale * steps[:, :1], offset * steps[:, 1:]
    shifted = (parts + shifts[:, :, None]) / np.where(factors == 0, 1, factors)[:, :, None]
    nibbles = np.rint(shifted).clip(0, 15).astype(np.uint8)
    packed = np.concatenate(
        [
            scale[:, :4] | scale[:, 4:] >> 4 << 6,
            offset[:, :4] | offset[:, 4:] >> 4 << 6,
            scale[:, 4:] & 15 | (offset[:, 4:] & 15) << 4,
        ],
        axis=1,
    )
    pairs = nibbles.reshape(-1, 4, 2, 32)
    data = (pairs[:, :, 0] | pairs[:, :, 1] << 4).reshape(len(parts), -1)
    return np.concatenate([large.view(np.uint8), packed, data], axis=1).reshape(len(values), -1)


def gguf_name(name: str) -> str:
    """A tensor's name in GGUF for that of transformers."""
    for own, other in _NAMES.items():
        name = name.replace(own, other)
    return name


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: dict[str, Any], config: dict[str, Any], rules: str) -> None:
    vocabulary = tokenizer["model"]["vocab"]
    special = {added["content"] for added in tokenizer["added_tokens"]}
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(rules)
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL if each in special else gguf.TokenType.NORMAL for each in tokens])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(False)


def _permuted(values: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of queries or keys with the two halves of a head interleaved, as llama.cpp turns them."""
    return values.reshape(heads, 2, -1, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def raw_gguf(
    entries: Sequence[tuple[str, int, bytes]] = (),
    tensors: Sequence[tuple[str, Sequence[int], int, int]] = (),
    *,
    data: bytes = b"",
    counts: tuple[int, int] | None = None,
    version: int = 3,
) -> bytes:
    """A GGUF file byte by byte, right or wrong: metadata as key, type and value; tensors as name, sizes, type, offset.

    counts: of tensors and entries, where they are to differ from what is there.
    """
    tensor_count, entry_count = counts or (len(tensors), len(entries))
    head = b"GGUF" + struct.pack("<IQQ", version, tensor_count, entry_count)
    head += b"".join(raw_text(key) + struct.pack("<I", kind) + value for key, kind, value in entries)
    for name, sizes, kind, offset in tensors:
        head += raw_text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)
    return head + bytes(-len(head) % 32) + data


def raw_text(text: str) -> bytes:
    """A text as GGUF has it."""
    return struct.pack("<Q", len(text.encode())) + text.encode()
