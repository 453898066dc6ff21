"""What CodeModel asks of whatever runs a decoder, which of these runs a model, and the shape that our own ones run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from risk_lsp.errors import ModelError, needs_extra

if TYPE_CHECKING:
    from risk_lsp.model.sources import Adapter, ModelFolder


@dataclass(frozen=True)
class Run:
    """Outcome of one forward pass over one sequence.

    `residuals[k]` is the residual stream after k blocks, float32[tokens, width]; `final` the normalised output of the
    last block, as `Host.statistics` and `Host.logits` of the same host take it, None if the run stopped before it.
    """

    residuals: dict[int, NDArray[Any]]
    final: Any


class Decoding(Protocol):
    """Texts that grow token by token: a row each.

    `logits` is float32[rows, vocabulary], of what follows each row so far; `residuals[k]` float32[rows, width], of the
    last token of each row, at the layers that were asked for. `runs` are those of the texts that it began with, in
    order; there are none where no layers were asked for.
    """

    logits: NDArray[Any]

    @property
    def residuals(self) -> dict[int, NDArray[Any]]: ...

    @property
    def runs(self) -> Sequence[Run]: ...

    def advance(self, rows: Sequence[int], token_ids: NDArray[Any]) -> None:
        """Go on with `rows` alone, in this order, each with one more token; one that is named twice goes on twice."""
        ...


WINDOWS_AT_ONCE = 4  # enough to keep all cores busy, or a GPU


class Host(Protocol):
    """A loaded decoder. Not for use from two threads at once."""

    device: str  # as torch names it
    dtype: str  # of the weights, such as "float32"
    layer_count: int  # blocks of the whole model
    top_layer: int  # blocks that were loaded
    width: int
    vocabulary_size: int
    context: int  # tokens the model can take at once
    windows_at_once: int  # of one text in a run: more are no faster; 1 where one takes long enough to be read in steps
    has_head: bool  # whether the final norm and the output head were loaded: `statistics` and `logits` need them

    def run(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int], *, to_end: bool) -> list[Run]:
        """Run int64[tokens] each, up to the highest of `layers`, or up to the final norm if `to_end`."""
        ...

    def statistics(self, final: Any, targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Log-probability of each target and entropy of the distribution it was drawn from, in nats.

        Row i of `final` predicts `targets[i]`. Works in chunks, so that memory does not grow with rows x vocabulary.
        Raises ModelError if the model does not allow it.
        """
        ...

    def logits(self, final: Any) -> NDArray[Any]:
        """Next-token logits float32[rows, vocabulary] for rows of `final`. Raises ModelError as `statistics` does."""
        ...

    def begin(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int] = ()) -> Decoding:
        """Run int64[tokens] each, at least one, such that more can follow. Raises ModelError as `logits` does."""
        ...


# Larger models gain more from torch's kernels than they lose by its start-up.
MOST_BYTES_OF_NUMPY = 100_000_000
_MOST_ANGLES_OF_NUMPY = 1 << 24  # one for each position and each coordinate of a head is computed beforehand


NO_HEAD = "predicts_no_tokens"  # true in the config.json of a model whose upper blocks were cut off


def load_host(
    folder: ModelFolder,
    *,
    device: str,
    dtype: str,
    top_layer: int | None,
    threads: int | None = None,
    adapter: Adapter | None = None,
) -> Host:
    """Load a checked model folder or GGUF file. `device` and `dtype` are as for CodeModel.load. Raises ModelError.

    A model that predicts no tokens is loaded without a head. adapter: one of this model, added to its weights.
    """
    from risk_lsp.model.sources import read_weights, weight_files  # the server knows hosts, and reads no weights

    if top_layer is None and folder.config.get(NO_HEAD):
        top_layer = int(folder.config["num_hidden_layers"])
    shape = decoder_shape(folder.config)
    if (
        shape is not None
        and folder.gguf is None
        and device in ("auto", "cpu")
        and dtype in ("auto", "float32")
        and shape.context * shape.head_width <= _MOST_ANGLES_OF_NUMPY
        and sum(file.stat().st_size for file in weight_files(folder)) <= MOST_BYTES_OF_NUMPY
    ):
        from risk_lsp.model.decoders.numpy_host import NumpyHost

        weights = read_weights(folder)
        if adapter is not None:
            adapter.require_weights({weight: values.shape for weight, values in weights.items()})
            weights |= {weight: weights[weight] + change.product() for weight, change in adapter.changes.items()}
        return NumpyHost(shape, weights, folder.name, top_layer, threads)
    try:
        if shape is not None:
            from risk_lsp.model.decoders.torch_host import load_torch_host

            return load_torch_host(
                folder, shape, device=device, dtype=dtype, top_layer=top_layer, threads=threads, adapter=adapter
            )
        if adapter is not None:
            raise ModelError(f"{folder.name} takes no adapter", f"use a model of the kind {', '.join(_FAMILIES)}")
        if folder.gguf is not None:
            raise ModelError(f"the settings of {folder.path} do not fit each other", "download or convert it again")
        from risk_lsp.model.decoders.transformers_loading import load_transformers_host
    except ModuleNotFoundError as error:
        raise needs_extra(folder.name, error) from error
    return load_transformers_host(folder, device=device, dtype=dtype, top_layer=top_layer, threads=threads)


_FAMILIES = ("llama", "qwen2", "qwen3")
_DEFAULT_THETA = 10000.0
_WIDEST_HEAD = 1 << 12
_ROPE_KEYS = {
    "default": set(),
    "linear": {"factor"},
    "llama3": {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"},
}


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
    frequencies: tuple[float, ...]  # by which each pair of a head's coordinates turns from token to token, in radians
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

    def require(self, sizes: Mapping[str, tuple[int, ...]], name: str, layers: int, *, head: bool) -> None:
        """Raise ModelError unless a model of that name has all `tensors`, in these sizes."""
        # A count of layers that no file could hold is not counted to.
        wanted = dict(self.tensors(min(layers, len(sizes) + 1), head=head))
        if missing := sorted(set(wanted) - set(sizes)):
            raise ModelError(
                f"the weights of {name} lack {len(missing)} tensors, such as {missing[0]}",
                "its settings and its weights must belong to the same model",
            )
        for tensor, expected in wanted.items():
            if tuple(sizes[tensor]) != expected:
                raise ModelError(
                    f"the model {name} cannot be loaded: {tensor} has shape {tuple(sizes[tensor])}, "
                    f"where its settings imply {expected}",
                    "its settings and its weights must belong to the same model",
                )


def decoder_shape(config: dict[str, Any]) -> DecoderShape | None:
    """The shape of a decoder that is exactly of this family; None for any other, which transformers runs.

    config: as config.json has it, or `gguf_config` makes it.
    """
    try:
        if not _is_plain(config):
            return None
        heads = _size(config, "num_attention_heads")
        head_width = int(config.get("head_dim") or _size(config, "hidden_size") // heads)
        if head_width > _WIDEST_HEAD:
            return None
        family = config["model_type"]
        biased = bool(config.get("attention_bias", False))
        return DecoderShape(
            layers=_size(config, "num_hidden_layers"),
            width=_size(config, "hidden_size"),
            feed_forward=_size(config, "intermediate_size"),
            heads=heads,
            key_value_heads=_size(config, "num_key_value_heads"),
            head_width=head_width,
            vocabulary=_size(config, "vocab_size"),
            context=_size(config, "max_position_embeddings"),
            epsilon=float(config["rms_norm_eps"]),
            frequencies=_frequencies(config, head_width),
            tied=bool(config["tie_word_embeddings"]),
            query_bias=biased or family == "qwen2",
            output_bias=biased,
            feed_forward_bias=bool(config.get("mlp_bias", False)),
            normalised_queries=family == "qwen3",
        )
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError):
        return None  # transformers fills what is left out and says what is wrong


def _is_plain(config: dict[str, Any]) -> bool:
    rope = _rope(config)
    keys = _ROPE_KEYS.get(rope.get("rope_type", rope.get("type", "default")))
    return (
        config.get("model_type") in _FAMILIES
        and "auto_map" not in config
        and "quantization_config" not in config
        and config.get("hidden_act") == "silu"
        and keys is not None
        and not set(rope) - keys - {"rope_theta", "rope_type", "type", "frequency_factors"}
        and not config.get("use_sliding_window")
        and config.get("partial_rotary_factor", 1.0) == 1.0
        and set(config.get("layer_types") or ["full_attention"]) == {"full_attention"}
    )


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    rope: dict[str, Any] = config.get("rope_parameters") or config.get("rope_scaling") or {}
    return rope


def _size(config: dict[str, Any], name: str) -> int:
    value = config[name]
    if not isinstance(value, int) or value < 1:
        raise ValueError(name)
    return value


def _frequencies(config: dict[str, Any], width: int) -> tuple[float, ...]:
    """The frequencies of rotary positions (arXiv 2104.09864), which some configs stretch to longer texts."""
    rope = _rope(config)
    theta = float(rope.get("rope_theta", config.get("rope_theta", _DEFAULT_THETA)))
    plain = [theta ** -(index / width) for index in range(0, width, 2)]
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "linear":
        plain = [each / float(rope["factor"]) for each in plain]
    elif kind == "llama3":
        # Slow turns are stretched by the factor, fast ones not at all, those between in part.
        low, high = float(rope["low_freq_factor"]), float(rope["high_freq_factor"])
        for place, frequency in enumerate(plain):
            turns = float(rope["original_max_position_embeddings"]) * frequency / (2 * pi)
            kept = min(1.0, max(0.0, (turns - low) / (high - low)))
            plain[place] = kept * frequency + (1 - kept) * frequency / float(rope["factor"])
    factors = rope.get("frequency_factors", [1.0] * len(plain))
    return tuple(each / float(factor) for each, factor in zip(plain, factors, strict=True))
