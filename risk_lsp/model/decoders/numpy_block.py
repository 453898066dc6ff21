"""One decoder block in numpy, with keys and values that are kept so that more tokens can follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from risk_lsp.model.host import DecoderShape

_QUERIES_AT_ONCE = 64  # of the square of causal attention, little more than the needed half is computed
_ROWS_AT_ONCE = 256  # of the feed-forward layer, whose many columns then stay in the cache

Floats = NDArray[np.float32]


class KeyValues:
    """Keys and values of the tokens so far in one block, float32[key_value_heads, tokens, head_width] each."""

    def __init__(self) -> None:
        self.keys: Floats | None = None
        self.values: Floats | None = None

    def __len__(self) -> int:
        return 0 if self.keys is None else self.keys.shape[1]

    def extend(self, keys: Floats, values: Floats) -> tuple[Floats, Floats]:
        """Add keys and values of the next tokens; returns those of all tokens so far."""
        if self.keys is not None and self.values is not None:
            keys = np.concatenate([self.keys, keys], axis=1)
            values = np.concatenate([self.values, values], axis=1)
        self.keys, self.values = keys, values
        return keys, values

    def crop(self, tokens: int) -> None:
        """Forget all but the first `tokens`."""
        if self.keys is not None and self.values is not None:
            self.keys, self.values = self.keys[:, :tokens], self.values[:, :tokens]

    def copy(self) -> KeyValues:
        """A copy that grows by itself; it shares the arrays, which nobody writes to."""
        copy = KeyValues()
        copy.keys, copy.values = self.keys, self.values
        return copy


class NumpyPast(list[KeyValues]):
    """Keys and values of the tokens so far in every block."""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(array.nbytes for each in self for array in (each.keys, each.values) if array is not None)

    def first(self, tokens: int) -> NumpyPast:
        """A copy for the first `tokens` tokens, which grows by itself."""
        cut = NumpyPast(each.copy() for each in self)
        for each in cut:
            each.crop(tokens)
        return cut


class Block:
    """Attention and a gated feed-forward layer, each behind an RMS norm and added to the residual stream."""

    def __init__(self, shape: DecoderShape, weights: Mapping[str, Floats], layer: int) -> None:
        self._shape = shape
        prefix = f"model.layers.{layer}."

        def joined(*names: str, part: str = "weight") -> Floats:
            return np.concatenate([weights[f"{prefix}{name}.{part}"] for name in names])

        queries, gates = [f"self_attn.{each}_proj" for each in "qkv"], ["mlp.gate_proj", "mlp.up_proj"]
        self._attention_norm = joined("input_layernorm")
        self._feed_forward_norm = joined("post_attention_layernorm")
        self._qkv = joined(*queries)
        self._out = joined("self_attn.o_proj")
        self._gate_up = joined(*gates)
        self._down = joined("mlp.down_proj")
        self._qkv_bias = joined(*queries, part="bias") if shape.query_bias else None
        self._out_bias = joined("self_attn.o_proj", part="bias") if shape.output_bias else None
        self._gate_up_bias = joined(*gates, part="bias") if shape.feed_forward_bias else None
        self._down_bias = joined("mlp.down_proj", part="bias") if shape.feed_forward_bias else None
        self._query_norm = joined("self_attn.q_norm") if shape.normalised_queries else None
        self._key_norm = joined("self_attn.k_norm") if shape.normalised_queries else None

    def run(self, hidden: Floats, angles: tuple[Floats, Floats], past: KeyValues) -> Floats:
        """The residual stream float32[tokens, width] after this block; `past` grows by these tokens."""
        found = self._attended(*self._projected(hidden, angles), past)
        return self._fed_forward(hidden + _linear(found, self._out, self._out_bias))

    def step(self, hidden: Floats, angles: tuple[Floats, Floats], pasts: Sequence[KeyValues]) -> Floats:
        """The same for the next token of each of several texts: row i follows `pasts[i]`, which grows by it."""
        queries, keys, values = self._projected(hidden, angles)
        rows = [slice(row, row + 1) for row in range(len(pasts))]
        found = [
            self._attended(queries[row], keys[:, row], values[:, row], past)
            for row, past in zip(rows, pasts, strict=True)
        ]
        return self._fed_forward(hidden + _linear(np.concatenate(found), self._out, self._out_bias))

    def _fed_forward(self, hidden: Floats) -> Floats:
        """`hidden`, which is overwritten, with the feed-forward layer's output added."""
        normalised = rms_norm(hidden, self._feed_forward_norm, self._shape.epsilon)
        for first in range(0, len(hidden), _ROWS_AT_ONCE):
            rows = slice(first, first + _ROWS_AT_ONCE)
            gate_up = _linear(normalised[rows], self._gate_up, self._gate_up_bias)
            gate, up = gate_up[:, : self._shape.feed_forward], gate_up[:, self._shape.feed_forward :]
            gated: Floats = -gate
            with np.errstate(over="ignore"):  # infinity stands for a closed gate: gate / inf = 0
                np.exp(gated, out=gated)
            gated += 1
            np.divide(gate, gated, out=gated)
            gated *= up
            hidden[rows] += _linear(gated, self._down, self._down_bias)
        return hidden

    def _projected(self, hidden: Floats, angles: tuple[Floats, Floats]) -> tuple[Floats, Floats, Floats]:
        """Queries float32[tokens, heads, head_width], keys and values float32[key_value_heads, tokens, head_width]."""
        shape = self._shape
        normalised = rms_norm(hidden, self._attention_norm, shape.epsilon)
        mixed = _linear(normalised, self._qkv, self._qkv_bias).reshape(len(hidden), -1, shape.head_width)
        queries = mixed[:, : shape.heads]
        keys = mixed[:, shape.heads : shape.heads + shape.key_value_heads]
        if self._query_norm is not None and self._key_norm is not None:
            queries = rms_norm(queries, self._query_norm, shape.epsilon)
            keys = rms_norm(keys, self._key_norm, shape.epsilon)
        return (
            _rotated(queries, angles) * np.float32(shape.head_width**-0.5),
            np.ascontiguousarray(_rotated(keys, angles).transpose(1, 0, 2)),
            np.ascontiguousarray(mixed[:, shape.heads + shape.key_value_heads :].transpose(1, 0, 2)),
        )

    def _attended(self, queries: Floats, keys: Floats, values: Floats, past: KeyValues) -> Floats:
        """What the tokens take from those before them and from each other, float32[tokens, heads x head_width]."""
        tokens, first = len(queries), len(past)
        all_keys, all_values = past.extend(keys, values)
        # Query heads that share a key head stand together, so that one product serves them all.
        grouped = queries.reshape(tokens, self._shape.key_value_heads, -1, self._shape.head_width).transpose(1, 2, 0, 3)
        parts = [
            _attention(grouped[:, :, start:end], all_keys[:, : first + end], all_values[:, : first + end])
            for start in range(0, tokens, _QUERIES_AT_ONCE)
            for end in (min(start + _QUERIES_AT_ONCE, tokens),)
        ]
        found = np.concatenate(parts, axis=2) if parts else grouped
        return found.transpose(2, 0, 1, 3).reshape(tokens, -1)


def _attention(queries: Floats, keys: Floats, values: Floats) -> Floats:
    """Causal attention of the last tokens to all: float32[kv heads, group, last, head_width]."""
    heads, group, last, width = queries.shape
    scores = queries.reshape(heads, group * last, width) @ keys.transpose(0, 2, 1)
    later = np.triu(np.full((last, last), -np.inf, np.float32), k=1)
    scores.reshape(heads, group, last, -1)[..., -last:] += later
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    sums: Floats = scores @ np.ones((scores.shape[-1], 1), dtype=np.float32)  # faster than sum()
    found: Floats = np.matmul(scores, values, dtype=np.float32)
    found /= sums
    return found.reshape(heads, group, last, width)


def _linear(hidden: Floats, weight: Floats, bias: Floats | None) -> Floats:
    result: Floats = hidden @ weight.T
    if bias is not None:
        result += bias
    return result


def rms_norm(hidden: Floats, weight: Floats, epsilon: float) -> Floats:
    """Root-mean-square norm over the last axis (arXiv 1910.07467)."""
    mean_square = np.einsum("...i,...i->...", hidden, hidden)[..., None] / np.float32(hidden.shape[-1])
    normalised: Floats = hidden / np.sqrt(mean_square + np.float32(epsilon))
    normalised *= weight
    return normalised


def rotations(positions: int, frequencies: Sequence[float]) -> tuple[Floats, Floats]:
    """Cosines and sines float32[positions, 1, width] of rotary embeddings (arXiv 2104.09864), in two halves."""
    angles = np.arange(positions)[:, None] * np.asarray(frequencies)
    twice = np.concatenate([angles, angles], axis=1)[:, None].astype(np.float32)
    return np.cos(twice), np.sin(twice)


def _rotated(heads: Floats, angles: tuple[Floats, Floats]) -> Floats:
    """float32[tokens, heads, width], each pair of coordinates turned by its token's angle."""
    cosines, sines = angles
    half = heads.shape[-1] // 2
    rotated: Floats = heads * cosines
    rotated[..., :half] -= heads[..., half:] * sines[..., :half]
    rotated[..., half:] += heads[..., :half] * sines[..., half:]
    return rotated
