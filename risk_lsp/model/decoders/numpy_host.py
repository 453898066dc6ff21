"""A small decoder run by numpy alone: the embedded default is at work in a fraction of the time torch takes to import.

The same computation as transformers' Llama, Qwen2 and Qwen3 classes in float32, which the tests hold it to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import ModelError
from risk_lsp.model.cores import Threads, stop_if_unwanted
from risk_lsp.model.host import WINDOWS_AT_ONCE, DecoderShape, Run

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
        # Copies, too, where nothing was kept: what is kept of one text holds no memory of the others of a run.
        self.keys = keys.copy() if self.keys is None else np.concatenate([self.keys, keys], axis=1)
        self.values = values.copy() if self.values is None else np.concatenate([self.values, values], axis=1)
        return self.keys, self.values

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

        def join(*names: str, part: str = "weight") -> Floats:
            return np.concatenate([weights[f"{prefix}{name}.{part}"] for name in names])

        queries, gates = [f"self_attn.{each}_proj" for each in "qkv"], ["mlp.gate_proj", "mlp.up_proj"]
        self._attention_norm = join("input_layernorm")
        self._feed_forward_norm = join("post_attention_layernorm")
        self._qkv = join(*queries)
        self._out = join("self_attn.o_proj")
        self._gate_up = join(*gates)
        self._down = join("mlp.down_proj")
        self._qkv_bias = join(*queries, part="bias") if shape.query_bias else None
        self._out_bias = join("self_attn.o_proj", part="bias") if shape.output_bias else None
        self._gate_up_bias = join(*gates, part="bias") if shape.feed_forward_bias else None
        self._down_bias = join("mlp.down_proj", part="bias") if shape.feed_forward_bias else None
        self._query_norm = join("self_attn.q_norm") if shape.normalised_queries else None
        self._key_norm = join("self_attn.k_norm") if shape.normalised_queries else None

    def run(
        self, hidden: Floats, angles: tuple[Floats, Floats], pasts: Sequence[KeyValues], ends: Sequence[int]
    ) -> Floats:
        """The residual stream float32[tokens, width] after this block, of texts one behind another that end at `ends`.

        Each text's tokens follow its past, which grows by them.
        """
        queries, keys, values = self._project(hidden, angles)
        texts = [slice(first, last) for first, last in pairwise([0, *ends])]
        found = [
            self._attend(queries[text], keys[:, text], values[:, text], past)
            for text, past in zip(texts, pasts, strict=True)
        ]
        return self._feed_forward(hidden + _linear(np.concatenate(found), self._out, self._out_bias))

    def _feed_forward(self, hidden: Floats) -> Floats:
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

    def _project(self, hidden: Floats, angles: tuple[Floats, Floats]) -> tuple[Floats, Floats, Floats]:
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
            _rotate(queries, angles) * np.float32(shape.head_width**-0.5),
            np.ascontiguousarray(_rotate(keys, angles).transpose(1, 0, 2)),
            np.ascontiguousarray(mixed[:, shape.heads + shape.key_value_heads :].transpose(1, 0, 2)),
        )

    def _attend(self, queries: Floats, keys: Floats, values: Floats, past: KeyValues) -> Floats:
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


def _rotate(heads: Floats, angles: tuple[Floats, Floats]) -> Floats:
    """float32[tokens, heads, width], each pair of coordinates turned by its token's angle."""
    cosines, sines = angles
    half = heads.shape[-1] // 2
    rotated: Floats = heads * cosines
    rotated[..., :half] -= heads[..., half:] * sines[..., :half]
    rotated[..., half:] += heads[..., :half] * sines[..., half:]
    return rotated


_ROWS_PER_THREAD = 16
_LOGITS_PER_CHUNK = 1 << 20  # of a product; fewer would make it slower
_LOGITS_IN_CACHE = 1 << 17  # 512 KiB of float32: they stay in the cache while they are worked on


class NumpyHost:
    """The loaded model. Not for use from two threads at once."""

    device = "cpu"
    dtype = "float32"
    can_go_on = True  # behind any tokens that were run before
    windows_at_once = WINDOWS_AT_ONCE

    def __init__(
        self, shape: DecoderShape, weights: Mapping[str, Floats], name: str, top_layer: int | None, threads: int | None
    ) -> None:
        self._shape = shape
        self.layer_count = shape.layers
        self.top_layer = shape.layers if top_layer is None else top_layer
        if not 0 <= self.top_layer <= shape.layers:
            raise ModelError(f"{name} has no layer {top_layer}", f"its layers are 0 to {shape.layers}")
        self.width = shape.width
        self.vocabulary_size = shape.vocabulary
        self.context = shape.context
        sizes = {tensor: values.shape for tensor, values in weights.items()}
        shape.require(sizes, name, self.top_layer, head=top_layer is None)
        self._embeddings = weights["model.embed_tokens.weight"]
        self._blocks = [Block(shape, weights, layer) for layer in range(self.top_layer)]
        self.has_head = top_layer is None
        self._norm = weights["model.norm.weight"] if top_layer is None else None
        self._head = self._embeddings if shape.tied else weights.get("lm_head.weight")
        self._cosines, self._sines = rotations(shape.context, shape.frequencies)
        self._threads = Threads(threads)

    def run(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int], *, to_end: bool) -> list[Run]:
        """Run int64[tokens] each, up to the highest of `layers`, or up to the final norm if `to_end`."""
        return self._threads.map(
            lambda sequence: self._extend_pasts([sequence], [self.new_past()], layers, to_end=to_end)[0], sequences
        )

    def new_past(self) -> NumpyPast:
        """Room for the keys and values of a run that starts at the first token."""
        return NumpyPast(KeyValues() for _ in self._blocks)

    def join(self, first: Floats, second: Floats) -> Floats:
        """Rows of `final` of two runs as those of one."""
        return np.concatenate([first, second])

    def extend(
        self, sequences: Sequence[NDArray[Any]], pasts: Sequence[NumpyPast], layers: Sequence[int], *, to_end: bool
    ) -> list[Run]:
        """Run the tokens that follow pasts, to which their keys and values are added, all texts in one pass."""
        with self._threads.together():
            return self._extend_pasts(sequences, pasts, layers, to_end=to_end)

    def _extend_pasts(
        self, sequences: Sequence[NDArray[Any]], pasts: Sequence[NumpyPast], layers: Sequence[int], *, to_end: bool
    ) -> list[Run]:
        last = self.top_layer if to_end else max(layers, default=-1)
        lengths = [len(sequence) for sequence in sequences]
        firsts = [len(past[0]) if past else 0 for past in pasts]
        places = np.concatenate(
            [np.arange(first, first + length) for first, length in zip(firsts, lengths, strict=True)]
        )
        ends = np.cumsum(lengths).tolist()
        token_ids = np.concatenate(sequences)
        hidden = self._embeddings[token_ids] if last >= 0 else np.zeros((len(token_ids), self.width), np.float32)
        angles = self._cosines[places], self._sines[places]
        residuals = {0: hidden} if 0 in layers else {}
        for number, block in enumerate(self._blocks[: max(last, 0)], start=1):
            stop_if_unwanted()
            hidden = block.run(hidden, angles, [past[number - 1] for past in pasts], ends)
            if number in layers:
                residuals[number] = hidden
        final = rms_norm(hidden, self._norm, self._shape.epsilon) if to_end and self._norm is not None else None
        if len(sequences) == 1:
            return [Run(residuals, final)]
        texts = [slice(first, last) for first, last in pairwise([0, *ends])]
        return [
            Run({layer: each[text] for layer, each in residuals.items()}, None if final is None else final[text].copy())
            for text in texts
        ]

    def begin(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int] = ()) -> NumpyDecoding:
        """Run int64[tokens] each, at least one, such that more tokens can follow."""
        pasts = [self.new_past() for _ in sequences]
        runs = self._threads.map(
            lambda pair: self._extend_pasts([pair[0]], [pair[1]], layers, to_end=True)[0],
            list(zip(sequences, pasts, strict=True)),
        )
        return NumpyDecoding(self, self._threads, pasts, runs, layers)

    def begin_behind(self, token_ids: NDArray[Any], past: NumpyPast, layers: Sequence[int]) -> NumpyDecoding:
        """Run the tokens that follow `past`, which grows by them, such that more tokens can follow."""
        runs = self.extend([token_ids], [past], layers, to_end=True)
        return NumpyDecoding(self, self._threads, [past], runs, layers)

    def step(
        self, token_ids: NDArray[Any], pasts: Sequence[NumpyPast], layers: Sequence[int]
    ) -> tuple[Floats, dict[int, Floats]]:
        """Logits float32[texts, vocabulary] behind one more token of each of several texts, and its residual streams
        float32[texts, width] at `layers`.
        """
        assert self._norm is not None  # `begin` came before
        places = [len(past[0]) for past in pasts]
        angles = self._cosines[places], self._sines[places]
        hidden = self._embeddings[token_ids]
        residuals = {0: hidden} if 0 in layers else {}
        ends = range(1, len(pasts) + 1)
        for number, block in enumerate(self._blocks, start=1):
            hidden = block.run(hidden, angles, [past[number - 1] for past in pasts], ends)
            if number in layers:
                residuals[number] = hidden
        return self.logits(rms_norm(hidden, self._norm, self._shape.epsilon)), residuals

    def statistics(self, final: Floats, targets: NDArray[Any]) -> tuple[Floats, Floats]:
        """Log-probability of each target and entropy of the distribution it was drawn from, in nats."""
        rows = max(1, _LOGITS_PER_CHUNK // self.vocabulary_size)
        # As many for each thread, so that none waits for another.
        rounds = -(-len(targets) // (rows * self._threads.count))
        cuts = np.linspace(0, len(targets), rounds * self._threads.count + 1).astype(np.int64)
        found = self._threads.map(
            lambda part: _chunk_statistics(self.logits(final[part]), targets[part]),
            [slice(first, last) for first, last in pairwise(cuts) if first < last],
        )
        empty = np.zeros(0, np.float32)
        return (
            np.concatenate([log_probabilities for log_probabilities, _ in found] or [empty]),
            np.concatenate([entropies for _, entropies in found] or [empty]),
        )

    def logits(self, final: Floats) -> Floats:
        """Next-token logits float32[rows, vocabulary] for rows of `final`."""
        if self._norm is None or self._head is None:
            raise ModelError("token statistics need the whole model", "load it without a top layer")
        logits: Floats = final @ self._head.T
        return logits


class NumpyDecoding:
    """Texts that grow token by token; see Decoding in host.py."""

    def __init__(
        self, host: NumpyHost, threads: Threads, pasts: list[NumpyPast], runs: Sequence[Run], layers: Sequence[int]
    ) -> None:
        self._host = host
        self._threads = threads
        self._pasts = pasts
        self._layers = layers
        self.logits = host.logits(np.stack([run.final[-1] for run in runs]))
        self.residuals = {layer: np.stack([run.residuals[layer][-1] for run in runs]) for layer in layers}
        self.runs = runs if layers else ()

    def advance(self, rows: Sequence[int], token_ids: NDArray[Any]) -> None:
        """Go on with `rows`, each with one more token."""
        self._pasts = [NumpyPast(each.copy() for each in self._pasts[row]) for row in rows]
        parts = np.array_split(np.arange(len(rows)), max(1, min(self._threads.count, len(rows) // _ROWS_PER_THREAD)))
        found = self._threads.map_alone(
            lambda part: self._host.step(token_ids[part], [self._pasts[row] for row in part], self._layers), parts
        )
        self.logits = np.concatenate([logits for logits, _ in found])
        self.residuals = {layer: np.concatenate([residuals[layer] for _, residuals in found]) for layer in self._layers}


def _chunk_statistics(logits: Floats, targets: NDArray[Any]) -> tuple[Floats, Floats]:
    """As NumpyHost.statistics, from logits that are overwritten."""
    found = np.empty((2, len(targets)), np.float32)
    rows = max(1, _LOGITS_IN_CACHE // logits.shape[1])
    for first in range(0, len(targets), rows):
        part = slice(first, first + rows)
        found[:, part] = _row_statistics(logits[part], targets[part])
    return found[0], found[1]


def _row_statistics(logits: Floats, targets: NDArray[Any]) -> tuple[Floats, Floats]:
    logits -= logits.max(axis=1, keepdims=True)
    chosen = logits[np.arange(len(targets)), targets]
    exponentials = np.exp(logits)
    total = exponentials.sum(axis=1)
    log_total = np.log(total)
    # H = -sum p log p with log p = z - log(sum exp z).
    return chosen - log_total, log_total - np.einsum("ij,ij->i", exponentials, logits) / total
