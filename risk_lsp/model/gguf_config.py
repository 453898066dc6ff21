"""A GGUF file's settings and tensor names, in the terms of the transformers format."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from risk_lsp.errors import ModelError
from risk_lsp.model.gguf_file import GgufArray, GgufFile

_FAMILIES = ("llama", "qwen2", "qwen3")
_ROPE_FACTORS = "rope_freqs.weight"
_WHOLE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_OF_A_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
# Settings of a model that the decoder honours or need not know. Any other may change what the model computes.
_KNOWN = {
    *("block_count", "context_length", "embedding_length", "feed_forward_length", "vocab_size"),
    *("attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length"),
    *("attention.layer_norm_rms_epsilon", "rope.dimension_count", "rope.freq_base", "tensor_data_layout"),
    *("rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length", "rope.scaling.finetuned"),
}


def gguf_config(file: GgufFile) -> dict[str, Any]:
    """What config.json of the same model says, for a plain Llama, Qwen2 or Qwen3. ModelError for any other."""
    family = file.metadata.get("general.architecture")
    if family not in _FAMILIES:
        raise ModelError(
            f"{file.path} holds a model of the architecture {family!r}", f"use one of {', '.join(_FAMILIES)}"
        )
    settings = _Settings(file, family)
    heads = settings.size("attention.head_count")
    width = settings.size("embedding_length")
    head_width = settings.size("attention.key_length", width // heads)
    for name in ("rope.dimension_count", "attention.value_length"):
        if (other := settings.size(name, head_width)) != head_width:
            raise settings.unsupported_error(name, other)
    scaling = settings.text("rope.scaling.type", "none")
    if scaling not in ("none", "linear"):
        raise settings.unsupported_error("rope.scaling.type", scaling)
    rope = {"rope_type": "default", "rope_theta": settings.number("rope.freq_base", 10000.0)}
    if scaling == "linear":
        rope |= {"rope_type": "linear", "factor": settings.number("rope.scaling.factor", 1.0)}
    if _ROPE_FACTORS in file.tensors:
        if (shape := file.tensors[_ROPE_FACTORS].shape) != (head_width // 2,):
            raise settings.unsupported_error(_ROPE_FACTORS, shape)
        rope["frequency_factors"] = [float(each) for _, values in file.rows(_ROPE_FACTORS) for each in values[0]]
    embeddings = file.tensors.get("token_embd.weight")
    if embeddings is None or len(embeddings.shape) != 2:
        raise ModelError(f"{file.path} has no table of embeddings", "download or convert the whole model again")
    blocks = settings.size("block_count")
    if blocks > len(file.tensors):
        raise ModelError(
            f"{file.path} claims {blocks} blocks and holds {len(file.tensors)} tensors",
            "download or convert the whole model again",
        )
    end = file.metadata.get("tokenizer.ggml.eos_token_id")
    return {
        "model_type": family,
        "hidden_act": "silu",
        "num_hidden_layers": blocks,
        "hidden_size": width,
        "intermediate_size": settings.size("feed_forward_length"),
        "num_attention_heads": heads,
        "num_key_value_heads": settings.size("attention.head_count_kv", heads),
        "head_dim": head_width,
        "vocab_size": embeddings.shape[0],
        "max_position_embeddings": settings.size("context_length"),
        "rms_norm_eps": settings.number("attention.layer_norm_rms_epsilon"),
        "rope_parameters": rope,
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "attention_bias": "blk.0.attn_output.bias" in file.tensors,
        "mlp_bias": "blk.0.ffn_down.bias" in file.tensors,
        "eos_token_id": end if isinstance(end, int) else None,
    }


def tensor_names(file: GgufFile, wanted: Collection[str]) -> dict[str, str]:
    """The file's name of each tensor, by its name in the transformers format.

    ModelError for a tensor that is not `wanted`: it may change what the model computes. The factors by which some files
    divide the frequencies of rotary positions are part of the config.
    """
    names = {}
    for name in file.tensors:
        if name == _ROPE_FACTORS:
            continue
        known = _WHOLE.get(name)
        match name.split("."):
            case ["blk", number, part, ("weight" | "bias") as kind] if number.isdecimal() and part in _OF_A_BLOCK:
                known = f"model.layers.{int(number)}.{_OF_A_BLOCK[part]}.{kind}"
        if known is None or known not in wanted:
            raise ModelError(
                f"{file.path} holds the tensor {name[:60]}, which a plain model of its architecture has not",
                "use a plain Llama, Qwen2 or Qwen3 model",
            )
        names[known] = name
    return names


class _Settings:
    """The metadata of one architecture, each value checked for its type."""

    def __init__(self, file: GgufFile, family: str) -> None:
        self._file = file
        self._prefix = f"{family}."
        for key, value in file.metadata.items():
            name = key.removeprefix(self._prefix)
            if key.startswith(self._prefix) and name not in _KNOWN:
                raise self.unsupported_error(name, value)

    def size(self, name: str, default: int | None = None) -> int:
        value = self._value(name, default)
        if type(value) is not int or not 0 < value < 1 << 31:
            raise self.unsupported_error(name, value)
        return value

    def number(self, name: str, default: float | None = None) -> float:
        value = self._value(name, default)
        if type(value) not in (int, float) or not 0 < value < float("inf"):
            raise self.unsupported_error(name, value)
        return float(value)

    def text(self, name: str, default: str) -> str:
        value = self._value(name, default)
        if type(value) is not str:
            raise self.unsupported_error(name, value)
        return value

    def _value(self, name: str, default: Any) -> Any:
        value = self._file.metadata.get(self._prefix + name, default)
        if value is None:
            raise ModelError(f"{self._file.path} does not say its {self._prefix}{name}", "convert the model again")
        return value

    def unsupported_error(self, name: str, value: Any) -> ModelError:
        shown = "a list" if isinstance(value, GgufArray) else repr(value)[:60]
        return ModelError(
            f"{self._file.path} has {self._prefix}{name} = {shown}, which is not supported",
            "use a plain Llama, Qwen2 or Qwen3 model",
        )
