"""The default model's shape: a small causal decoder in a standard transformers architecture (Qwen3)."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import Qwen3Config, Qwen3ForCausalLM


@dataclass(frozen=True)
class ModelShape:
    """Sizes of the decoder; `context` in tokens."""

    width: int = 256
    layers: int = 6
    heads: int = 4
    key_value_heads: int = 2
    feed_forward: int = 768
    context: int = 1024


def new_model(shape: ModelShape, vocabulary_size: int, end_of_text: int) -> Qwen3ForCausalLM:
    """A randomly initialised float32 decoder; embeddings tied, queries and keys normalised (stable at high rates)."""
    config = Qwen3Config(
        vocab_size=vocabulary_size,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        head_dim=shape.width // shape.heads,
        intermediate_size=shape.feed_forward,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end_of_text,
        pad_token_id=end_of_text,
        attention_dropout=0.0,
        use_cache=False,
    )
    return Qwen3ForCausalLM(config)
