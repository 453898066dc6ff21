"""Which decoders the numpy host runs: the plain Llama family, read from config.json."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from risk_lsp.model.sources import ModelFolder
from risk_lsp.model.weights import weight_files

_FAMILIES = ("llama", "qwen2", "qwen3")
_DEFAULT_THETA = 10000.0
# Larger models gain more from torch's kernels than they lose by its start-up.
MOST_BYTES = 100_000_000
_LONGEST_CONTEXT = 1 << 17  # a row of angles for each position is computed beforehand


@dataclass(frozen=True)
class DecoderShape:
    """Sizes of a decoder of RMS norms, rotary positions, grouped queries and gated SiLU layers."""

    layers: int
    width: int
    feed_forward: int
    heads: int
    key_value_heads: int
    head_width: int
    vocabulary: int
    context: int
    epsilon: float
    theta: float
    tied: bool
    query_bias: bool
    output_bias: bool
    feed_forward_bias: bool
    normalised_queries: bool

    def tensors(self, layers: int, *, head: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name and shape of every tensor of the first `layers` blocks, of the embeddings and, on request, the head."""
        yield "model.embed_tokens.weight", (self.vocabulary, self.width)
        if head:
            yield "model.norm.weight", (self.width,)
            if not self.tied:
                yield "lm_head.weight", (self.vocabulary, self.width)
        queries, keys = self.heads * self.head_width, self.key_value_heads * self.head_width
        linear = {
            "self_attn.q_proj": (queries, self.width, self.query_bias),
            "self_attn.k_proj": (keys, self.width, self.query_bias),
            "self_attn.v_proj": (keys, self.width, self.query_bias),
            "self_attn.o_proj": (self.width, queries, self.output_bias),
            "mlp.gate_proj": (self.feed_forward, self.width, self.feed_forward_bias),
            "mlp.up_proj": (self.feed_forward, self.width, self.feed_forward_bias),
            "mlp.down_proj": (self.width, self.feed_forward, self.feed_forward_bias),
        }
        for layer in range(layers):
            block = f"model.layers.{layer}."
            yield block + "input_layernorm.weight", (self.width,)
            yield block + "post_attention_layernorm.weight", (self.width,)
            if self.normalised_queries:
                yield block + "self_attn.q_norm.weight", (self.head_width,)
                yield block + "self_attn.k_norm.weight", (self.head_width,)
            for name, (rows, columns, bias) in linear.items():
                yield f"{block}{name}.weight", (rows, columns)
                if bias:
                    yield f"{block}{name}.bias", (rows,)


def decoder_shape(folder: ModelFolder) -> DecoderShape | None:
    """The shape of a small decoder that is exactly of this family; None for any other, which transformers runs."""
    config = folder.config
    if sum(file.stat().st_size for file in weight_files(folder)) > MOST_BYTES:
        return None
    try:
        if not _is_plain(config) or _size(config, "max_position_embeddings") > _LONGEST_CONTEXT:
            return None
        heads = _size(config, "num_attention_heads")
        family = config["model_type"]
        biased = bool(config.get("attention_bias", False))
        return DecoderShape(
            layers=_size(config, "num_hidden_layers"),
            width=_size(config, "hidden_size"),
            feed_forward=_size(config, "intermediate_size"),
            heads=heads,
            key_value_heads=_size(config, "num_key_value_heads"),
            head_width=int(config.get("head_dim") or _size(config, "hidden_size") // heads),
            vocabulary=_size(config, "vocab_size"),
            context=_size(config, "max_position_embeddings"),
            epsilon=float(config["rms_norm_eps"]),
            theta=_theta(config),
            tied=bool(config["tie_word_embeddings"]),
            query_bias=biased or family == "qwen2",
            output_bias=biased,
            feed_forward_bias=bool(config.get("mlp_bias", False)),
            normalised_queries=family == "qwen3",
        )
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError):
        return None  # transformers fills what is left out and says what is wrong


def _is_plain(config: dict[str, Any]) -> bool:
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    return (
        config.get("model_type") in _FAMILIES
        and "auto_map" not in config
        and "quantization_config" not in config
        and config.get("hidden_act") == "silu"
        and kind == "default"
        and not set(rope) - {"rope_theta", "rope_type", "type"}
        and not config.get("use_sliding_window")
        and config.get("partial_rotary_factor", 1.0) == 1.0
        and set(config.get("layer_types") or ["full_attention"]) == {"full_attention"}
    )


def _size(config: dict[str, Any], name: str) -> int:
    value = config[name]
    if not isinstance(value, int) or value < 1:
        raise ValueError(name)
    return value


def _theta(config: dict[str, Any]) -> float:
    rope = config.get("rope_parameters") or {}
    return float(rope.get("rope_theta", config.get("rope_theta", _DEFAULT_THETA)))
