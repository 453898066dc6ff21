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
from risk_lsp.model.decoders.numpy_block import Block, KeyValues, NumpyPast, rms_norm, rotations
from risk_lsp.model.host import DecoderShape, Run
from risk_lsp.model.window_runs import Threads, stop_if_unwanted

_ROWS_PER_THREAD = 16
_LOGITS_PER_CHUNK = 1 << 20  # of a product; fewer would make it slower
_LOGITS_IN_CACHE = 1 << 17  # 512 KiB of float32: they stay in the cache while they are worked on

Floats = NDArray[np.float32]


class NumpyHost:
    """The loaded model. Not for use from two threads at once."""

    device = "cpu"
    dtype = "float32"
    can_go_on = True  # behind any tokens that were run before

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
            lambda sequence: self._extended(sequence, self.new_past(), layers, to_end=to_end), sequences
        )

    def new_past(self) -> NumpyPast:
        """Room for the keys and values of a run that starts at the first token."""
        return NumpyPast(KeyValues() for _ in self._blocks)

    def joined(self, first: Floats, second: Floats) -> Floats:
        """Rows of `final` of two runs as those of one."""
        return np.concatenate([first, second])

    def extend(self, token_ids: NDArray[Any], past: list[KeyValues], layers: Sequence[int], *, to_end: bool) -> Run:
        """Run the tokens that follow `past`, to which their keys and values are added."""
        with self._threads.together():
            return self._extended(token_ids, past, layers, to_end=to_end)

    def _extended(self, token_ids: NDArray[Any], past: list[KeyValues], layers: Sequence[int], *, to_end: bool) -> Run:
        last = self.top_layer if to_end else max(layers, default=-1)
        first = len(past[0]) if past else 0
        hidden = self._embeddings[token_ids] if last >= 0 else np.zeros((len(token_ids), self.width), np.float32)
        angles = self._cosines[first : first + len(token_ids)], self._sines[first : first + len(token_ids)]
        residuals = {0: hidden} if 0 in layers else {}
        for number, block in enumerate(self._blocks[: max(last, 0)], start=1):
            stop_if_unwanted()
            hidden = block.run(hidden, angles, past[number - 1])
            if number in layers:
                residuals[number] = hidden
        if not to_end or self._norm is None:
            return Run(residuals, None)
        return Run(residuals, rms_norm(hidden, self._norm, self._shape.epsilon))

    def begin(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int] = ()) -> NumpyDecoding:
        """Run int64[tokens] each, at least one, such that more tokens can follow."""
        pasts = [self.new_past() for _ in sequences]
        runs = self._threads.map(
            lambda pair: self._extended(pair[0], pair[1], layers, to_end=True), list(zip(sequences, pasts, strict=True))
        )
        return NumpyDecoding(self, self._threads, pasts, runs, layers)

    def begin_behind(self, token_ids: NDArray[Any], past: NumpyPast, layers: Sequence[int]) -> NumpyDecoding:
        """Run the tokens that follow `past`, which grows by them, such that more tokens can follow."""
        run = self.extend(token_ids, past, layers, to_end=True)
        return NumpyDecoding(self, self._threads, [past], [run], layers)

    def step(
        self, token_ids: NDArray[Any], pasts: Sequence[Sequence[KeyValues]], layers: Sequence[int]
    ) -> tuple[Floats, dict[int, Floats]]:
        """Logits float32[texts, vocabulary] behind one more token of each of several texts, and its residual streams
        float32[texts, width] at `layers`.
        """
        assert self._norm is not None  # `begin` came before
        places = [len(past[0]) for past in pasts]
        angles = self._cosines[places], self._sines[places]
        hidden = self._embeddings[token_ids]
        residuals = {0: hidden} if 0 in layers else {}
        for number, block in enumerate(self._blocks, start=1):
            hidden = block.step(hidden, angles, [past[number - 1] for past in pasts])
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
