"""A plain decoder run by torch: no padding, no block above the taps, and the head only where it is asked for.

The same computation as transformers' Llama, Qwen2 and Qwen3 classes, which the tests hold it to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from risk_lsp.errors import ModelError
from risk_lsp.model.cores import free_cores, stop_if_unwanted
from risk_lsp.model.decoders.torch_attention import BehindPasts, GrowingRows, TorchPast, WholeTexts
from risk_lsp.model.decoders.torch_block import Attention, TorchBlock, TorchHead, rms_norm, rotations
from risk_lsp.model.decoders.torch_weights import (
    AdaptedWeights,
    Weights,
    fast_number_type,
    number_type,
    open_weights,
    product_type,
    torch_device,
)
from risk_lsp.model.host import WINDOWS_AT_ONCE, DecoderShape, Run
from risk_lsp.model.sources import Adapter, ModelFolder

_TOKENS_AT_ONCE = 1024  # of a batch: what they give each other still fits in the cache
_ROUNDED_TO = 32  # so that few shapes of products occur, for each of which kernels are made


class TorchHost:
    """The loaded model. Not for use from two threads at once."""

    can_go_on = True  # behind any tokens that were run before

    @torch.inference_mode()
    def __init__(
        self,
        shape: DecoderShape,
        weights: Weights,
        name: str,
        *,
        dtype: torch.dtype,
        device: torch.device,
        top_layer: int | None,
    ) -> None:
        self._shape = shape
        self._weights = weights
        self._device = device
        self._products = product_type(dtype, device)
        self.device = str(device)
        self.dtype = str(dtype).removeprefix("torch.")
        # All cores work on one window together.
        self.windows_at_once = 1 if device.type == "cpu" else WINDOWS_AT_ONCE
        self.layer_count = shape.layers
        self.top_layer = shape.layers if top_layer is None else top_layer
        if not 0 <= self.top_layer <= shape.layers:
            raise ModelError(f"{name} has no layer {top_layer}", f"its layers are 0 to {shape.layers}")
        self.width = shape.width
        self.vocabulary_size = shape.vocabulary
        self.context = shape.context
        shape.require(weights.shapes, name, self.top_layer, head=top_layer is None)
        self._blocks = [TorchBlock(shape, weights, block, dtype, device) for block in range(self.top_layer)]
        self.has_head = top_layer is None
        self._norm: Tensor | None = None
        self._head: TorchHead | None = None
        if top_layer is None:
            self._norm = self._whole("model.norm.weight", torch.float32)
            self._head = TorchHead(self._whole("model.embed_tokens.weight" if shape.tied else "lm_head.weight", dtype))
        weights.close()

    def _whole(self, name: str, dtype: torch.dtype) -> Tensor:
        target = torch.empty(self._weights.shapes[name], dtype=dtype)
        self._weights.copy(name, target)
        return target.to(self._device)

    @torch.inference_mode()
    def run(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int], *, to_end: bool) -> list[Run]:
        """Run int64[tokens] each, up to the highest of `layers`, or up to the final norm if `to_end`."""
        runs: list[Run] = []
        for part in _parts(sequences):
            lengths = [len(sequence) for sequence in part]
            places = torch.cat([torch.arange(length) for length in lengths])
            found = self._forward(np.concatenate(part), places, WholeTexts(lengths), layers, to_end=to_end)
            runs += _runs(*found, lengths)
        return runs

    def new_past(self) -> TorchPast:
        """Room for the keys and values of a run that starts at the first token."""
        return TorchPast()

    @torch.inference_mode()
    def extend(
        self, sequences: Sequence[NDArray[Any]], pasts: Sequence[TorchPast], layers: Sequence[int], *, to_end: bool
    ) -> list[Run]:
        """Run the tokens that follow pasts, to which their keys and values are added, all texts in one pass."""
        lengths = [len(sequence) for sequence in sequences]
        places = torch.cat(
            [torch.arange(len(past), len(past) + length) for past, length in zip(pasts, lengths, strict=True)]
        )
        attention = BehindPasts(pasts, lengths)
        residuals, final = self._forward(np.concatenate(sequences), places, attention, layers, to_end=to_end)
        if len(sequences) == 1:
            return [Run(residuals, final)]
        # A copy for each: what is kept of one text holds no memory of the others.
        runs = _runs(residuals, final, lengths)
        return [Run(run.residuals, None if run.final is None else run.final.clone()) for run in runs]

    @torch.inference_mode()
    def join(self, first: Tensor, second: Tensor) -> Tensor:
        """Rows of `final` of two runs as those of one."""
        return torch.cat([first, second])

    @torch.inference_mode()
    def statistics(self, final: Tensor, targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Log-probability of each target and entropy of the distribution it was drawn from, in nats."""
        if not len(targets):
            return np.zeros(0, np.float32), np.zeros(0, np.float32)
        wanted = torch.from_numpy(targets.astype(np.int64)).to(self._device)
        log_probabilities, entropies = self._loaded_head().statistics(final, wanted)
        return log_probabilities.cpu().numpy(), entropies.cpu().numpy()

    @torch.inference_mode()
    def logits(self, final: Tensor) -> NDArray[Any]:
        """Next-token logits float32[rows, vocabulary] for rows of `final`."""
        return self._loaded_head().logits(final).cpu().numpy()

    @torch.inference_mode()
    def begin(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int] = ()) -> TorchDecoding:
        """Run int64[tokens] each, at least one, such that more tokens can follow."""
        self._loaded_head()
        rows = GrowingRows([len(sequence) for sequence in sequences], self._device)
        runs: list[Run] = []
        for part in _parts(sequences):
            lengths = [len(sequence) for sequence in part]
            places = torch.cat([torch.arange(length) for length in lengths])
            attention = rows.fill(len(runs), lengths)
            found = self._forward(np.concatenate(part), places, attention, layers, to_end=True)
            # Without layers, nothing but the last rows is worth the memory.
            runs += [each if layers else Run({}, each.final[-1:].clone()) for each in _runs(*found, lengths)]
        return TorchDecoding(self, rows, runs, layers)

    @torch.inference_mode()
    def begin_behind(self, token_ids: NDArray[Any], past: TorchPast, layers: Sequence[int]) -> TorchDecoding:
        """Run the tokens that follow `past`, which grows by them, such that more tokens can follow."""
        runs = self.extend([token_ids], [past], layers, to_end=True)
        return TorchDecoding(self, GrowingRows.behind(past, self._device), runs, layers)

    @torch.inference_mode()
    def step(
        self, token_ids: NDArray[Any], rows: GrowingRows, layers: Sequence[int]
    ) -> tuple[NDArray[Any], dict[int, NDArray[Any]]]:
        """Logits float32[rows, vocabulary] behind one more token of each row, and its residual streams at `layers`."""
        rows.begin_step()
        residuals, final = self._forward(token_ids, rows.lengths, rows.step, layers, to_end=True, rounded_to=1)
        rows.end_step()
        assert final is not None
        return self.logits(final), residuals

    def _forward(
        self,
        token_ids: NDArray[Any],
        places: Tensor,
        attention: Attention,
        layers: Sequence[int],
        *,
        to_end: bool,
        rounded_to: int = _ROUNDED_TO,
    ) -> tuple[dict[int, NDArray[Any]], Tensor | None]:
        """Residual streams float32[tokens, width] at `layers` and, `to_end`, the last block's normalised output."""
        count = len(token_ids)
        last = self.top_layer if to_end else max(layers, default=-1)
        if last < 0 or not count:
            empty = np.zeros((count, self.width), np.float32)
            return dict.fromkeys(layers, empty), torch.from_numpy(empty).to(self._products) if to_end else None
        added = -count % rounded_to
        ids = torch.nn.functional.pad(torch.from_numpy(token_ids.astype(np.int64)), (0, added))
        places = torch.nn.functional.pad(places.to(self._device), (0, added))
        # Few of the many rows are asked for: they are read from the file rather than kept in memory.
        hidden = self._weights.rows("model.embed_tokens.weight", ids).to(self._device)
        angles = rotations(places, self._shape.frequencies)
        residuals = {0: _copy_out(hidden, count)} if 0 in layers else {}
        with _free_cores_only():
            for number, block in enumerate(self._blocks[:last], start=1):
                stop_if_unwanted()
                hidden = block.run(hidden, angles, attention)
                if number in layers:
                    residuals[number] = _copy_out(hidden, count)
        if not to_end or self._norm is None:
            return residuals, None
        return residuals, rms_norm(hidden[:count], self._norm, self._shape.epsilon).to(self._products)

    def _loaded_head(self) -> TorchHead:
        if self._head is None:
            raise ModelError("token statistics need the whole model", "load it without a top layer")
        return self._head


class TorchDecoding:
    """Texts that grow token by token; see Decoding in host.py."""

    def __init__(self, host: TorchHost, rows: GrowingRows, runs: Sequence[Run], layers: Sequence[int]) -> None:
        self._host = host
        self._rows = rows
        self._layers = layers
        self.logits = host.logits(torch.stack([run.final[-1] for run in runs]))
        self.residuals = {layer: np.stack([run.residuals[layer][-1] for run in runs]) for layer in layers}
        self.runs = runs if layers else ()

    @torch.inference_mode()
    def advance(self, rows: Sequence[int], token_ids: NDArray[Any]) -> None:
        """Go on with `rows`, each with one more token."""
        self._rows.choose(rows)
        self.logits, self.residuals = self._host.step(token_ids, self._rows, self._layers)


def _runs(residuals: dict[int, NDArray[Any]], final: Tensor | None, lengths: Sequence[int]) -> Iterator[Run]:
    """What a pass gave for each of the texts of these lengths."""
    ends = np.cumsum(lengths)
    for start, end in zip(ends - lengths, ends, strict=True):
        own = {layer: each[start:end] for layer, each in residuals.items()}
        yield Run(own, None if final is None else final[start:end])


def _copy_out(hidden: Tensor, count: int) -> NDArray[Any]:
    """A copy of the residual stream, which the next block writes over."""
    taken: NDArray[Any] = hidden[:count].to("cpu", copy=True).numpy()
    return taken


@contextmanager
def _free_cores_only() -> Iterator[None]:
    """Torch takes no core that another process holds, for the reason that `Threads.together` gives."""
    allowed = torch.get_num_threads()
    torch.set_num_threads(min(allowed, free_cores()))
    try:
        yield
    finally:
        torch.set_num_threads(allowed)


def _parts(sequences: Sequence[NDArray[Any]]) -> Iterator[list[NDArray[Any]]]:
    """Sequences in order, in batches of about `_TOKENS_AT_ONCE`; a longer one is by itself."""
    part: list[NDArray[Any]] = []
    for sequence in sequences:
        if part and sum(map(len, part)) + len(sequence) > _TOKENS_AT_ONCE:
            yield part
            part = []
        part.append(sequence)
    if part:
        yield part


def load_torch_host(
    folder: ModelFolder,
    shape: DecoderShape,
    *,
    device: str,
    dtype: str,
    top_layer: int | None,
    threads: int | None,
    adapter: Adapter | None = None,
) -> TorchHost:
    """Load a plain decoder of a checked folder or GGUF file, as for `load_host`. Raises ModelError."""
    if threads is not None:
        torch.set_num_threads(threads)
    place = torch_device(device)
    kind = fast_number_type(place) if dtype == "auto" else number_type(dtype, place)
    weights = open_weights(folder, shape)
    if adapter is not None:
        weights = AdaptedWeights(weights, adapter)
    return TorchHost(shape, weights, folder.name, dtype=kind, device=place, top_layer=top_layer)
