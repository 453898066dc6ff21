"""A causal transformers model as a stack of decoder blocks, with runs that stop where the taps end.

Texts grow in it token by token, from a cache of keys and values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from risk_lsp.errors import ModelError
from risk_lsp.model.cores import stop_if_unwanted
from risk_lsp.model.decoders.transformers_cache import (
    GrowingRun,
    RowsOfOneText,
    TransformersDecoding,
    TransformersPast,
    can_be_gone_on_from,
)
from risk_lsp.model.host import WINDOWS_AT_ONCE, Run

_DEFAULT_CONTEXT = 2048
_LOGITS_PER_CHUNK = 1 << 20  # 4 MiB of float32


def token_statistics(
    final: Tensor, targets: Tensor, logits: Callable[[Tensor], Tensor], vocabulary_size: int
) -> tuple[Tensor, Tensor]:
    """Log-probability of each target and entropy of the distribution it was drawn from, in nats.

    `final` [rows, width] predicts `targets` int64[rows]; `logits` maps some rows to float32[rows, vocabulary]. Works in
    chunks of rows, so that memory does not grow with rows x vocabulary. Returns two float32[rows] on the CPU.
    """
    rows = max(1, _LOGITS_PER_CHUNK // vocabulary_size)
    log_probabilities = torch.empty(len(targets), dtype=torch.float32)
    entropies = torch.empty(len(targets), dtype=torch.float32)
    for first in range(0, len(targets), rows):
        part = slice(first, first + rows)
        distribution = torch.log_softmax(logits(final[part]), dim=-1)
        chosen = targets[part].to(distribution.device).unsqueeze(-1)
        log_probabilities[part] = distribution.gather(-1, chosen).squeeze(-1).cpu()
        entropies[part] = torch.special.entr(distribution.exp()).sum(dim=-1).cpu()
    return log_probabilities, entropies


class _TapsFilled(Exception):
    """Raised inside the forward pass when nothing above the current block is wanted."""


class TransformersHost:
    """The loaded model. Not for use from two threads at once."""

    windows_at_once = WINDOWS_AT_ONCE

    def __init__(self, model: Any, layer_count: int, device: torch.device) -> None:
        text_config = model.config.get_text_config()
        self._base: nn.Module = model.base_model
        self._model: nn.Module = model
        self._head: nn.Module | None = model.get_output_embeddings()
        lists = (each for each in self._base.modules() if isinstance(each, nn.ModuleList))
        blocks = next((each for each in lists if len(each) == text_config.num_hidden_layers), None)
        if blocks is None:
            name = type(self._base).__name__
            raise ModelError(f"no decoder blocks were found in {name}", "use a decoder-only causal model")
        self._blocks = blocks
        self._head_is_plain: bool | None = None
        self.has_head = self._head is not None
        self.can_go_on = can_be_gone_on_from(self._base)
        self.device = str(device)
        self.dtype = str(model.dtype).removeprefix("torch.")
        self.layer_count = layer_count
        self.top_layer = text_config.num_hidden_layers
        self.width = int(text_config.hidden_size)
        self.vocabulary_size = int(model.get_input_embeddings().weight.shape[0])
        self.context = int(getattr(text_config, "max_position_embeddings", None) or _DEFAULT_CONTEXT)

    @torch.inference_mode()
    def run(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int], *, to_end: bool) -> list[Run]:
        """Run int64[tokens] each, up to the highest of `layers`, or up to the final norm if `to_end`."""
        if not layers and not to_end:
            return [Run({}, None) for _ in sequences]
        residuals, final = self._forward(_pad(sequences), layers, to_end=to_end, use_cache=False)
        return [
            Run(
                {layer: residual[row, : len(sequence)].numpy() for layer, residual in residuals.items()},
                None if final is None else final[row, : len(sequence)],
            )
            for row, sequence in enumerate(sequences)
        ]

    def new_past(self) -> TransformersPast:
        """Room for what is kept of a run that starts at the first token."""
        return TransformersPast(self._base.config)

    @torch.inference_mode()
    def extend(
        self,
        sequences: Sequence[NDArray[Any]],
        pasts: Sequence[TransformersPast],
        layers: Sequence[int],
        *,
        to_end: bool,
    ) -> list[Run]:
        """Run the tokens that follow pasts, which grow by them; one text after the other, as lengths differ."""
        if not layers and not to_end:
            return [Run({}, None) for _ in sequences]
        runs = []
        for token_ids, past in zip(sequences, pasts, strict=True):
            found, final = self._forward(
                _pad([token_ids]), layers, to_end=to_end, use_cache=True, past_key_values=past.cache
            )
            residuals = {layer: each[0].numpy() for layer, each in found.items()}
            runs.append(Run(residuals, None if final is None else final[0]))
        return runs

    def join(self, first: Tensor, second: Tensor) -> Tensor:
        """Rows of `final` of two runs as those of one."""
        return torch.cat([first, second])

    def _forward(
        self, token_ids: Tensor, layers: Sequence[int], *, to_end: bool, **options: Any
    ) -> tuple[dict[int, Tensor], Tensor | None]:
        """Residual streams at `layers` and, `to_end`, the output: [sequences, tokens, width] each."""
        with _taps(self._blocks, layers, None if to_end else max(layers)) as residuals:
            try:
                output = self._base(input_ids=token_ids.to(self.device), **options)
                return residuals, output.last_hidden_state if to_end else None
            except _TapsFilled:
                return residuals, None

    def statistics(self, final: Tensor, targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Log-probability of each target and entropy of the distribution it was drawn from, in nats."""
        with torch.inference_mode():
            wanted = torch.from_numpy(targets.astype(np.int64))
            log_probabilities, entropies = token_statistics(final, wanted, self._logits, self.vocabulary_size)
        return log_probabilities.numpy(), entropies.numpy()

    def logits(self, final: Tensor) -> NDArray[Any]:
        """Next-token logits float32[rows, vocabulary] for rows of `final`."""
        with torch.inference_mode():
            return self._logits(final).cpu().numpy()

    def begin(self, sequences: Sequence[NDArray[Any]], layers: Sequence[int] = ()) -> TransformersDecoding:
        """Run int64[tokens] each, at least one, such that more tokens can follow."""
        groups = [RowsOfOneText(self._growing(layers), sequence) for sequence in sequences]
        return TransformersDecoding(self._logits, groups, layers)

    def begin_behind(
        self, token_ids: NDArray[Any], past: TransformersPast, layers: Sequence[int]
    ) -> TransformersDecoding:
        """Run the tokens that follow `past`, which grows by them, such that more tokens can follow."""
        count = past.length + len(token_ids)
        group = RowsOfOneText(self._growing(layers), token_ids, past.cache)
        # What follows is added in place: `past` goes on with a copy.
        past.cache = past.first(count).cache
        return TransformersDecoding(self._logits, [group], layers)

    def _growing(self, layers: Sequence[int]) -> GrowingRun:
        """Runs [rows, tokens] behind a cache; gives the output, the residual streams at `layers`, and the cache."""

        def run(token_ids: NDArray[Any], cache: Any) -> tuple[Tensor, dict[int, Tensor], Any]:
            given = torch.from_numpy(token_ids.astype(np.int64)).to(self.device)
            with torch.inference_mode(), _taps(self._blocks, layers, None) as residuals:
                output = self._base(input_ids=given, past_key_values=cache, use_cache=True)
            cache = getattr(output, "past_key_values", None)
            if not hasattr(cache, "reorder_cache"):
                raise ModelError(
                    f"{type(self._base).__name__} keeps no keys and values that more tokens could follow",
                    "use a model of attention layers to write with",
                )
            return output.last_hidden_state, residuals, cache

        return run

    def _logits(self, final: Tensor) -> Tensor:
        if self._head is None:
            raise ModelError("token statistics need the whole model", "load it without a top layer")
        if self._head_is_plain is None:
            # Whether the model's own logits are what its head gives, with no scaling or soft cap behind it.
            assert self._head is not None
            token_ids = torch.arange(min(8, self.context), device=self.device).unsqueeze(0)
            own = self._model(input_ids=token_ids, use_cache=False).logits.float()
            ours = self._head(self._base(input_ids=token_ids, use_cache=False).last_hidden_state).float()
            self._head_is_plain = own.shape == ours.shape and torch.allclose(own, ours, rtol=1e-4, atol=1e-5)
        if not self._head_is_plain:
            raise ModelError(
                f"token statistics are not available for {type(self._model).__name__}, which rescales its logits",
                "use a probe that does without statistics",
            )
        rows: Tensor = self._head(final)
        return rows.float()


def _pad(sequences: Sequence[NDArray[Any]]) -> Tensor:
    """int64[sequences, tokens], padded on the right: attention is causal, so padding cannot reach what is before it."""
    token_ids = np.zeros((len(sequences), max(map(len, sequences), default=0)), dtype=np.int64)
    for row, sequence in zip(token_ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(token_ids)


@contextmanager
def _taps(blocks: nn.ModuleList, layers: Sequence[int], last: int | None) -> Iterator[dict[int, Tensor]]:
    """Fill a dictionary with the residual streams at `layers` during a forward pass; stop it after layer `last`, or
    before any layer once nobody waits for it."""
    residuals: dict[int, Tensor] = {}

    def record(layer: int, hidden: Tensor) -> None:
        if layer in layers:
            residuals[layer] = hidden.detach().to("cpu", torch.float32, copy=True)
        if layer == last:
            raise _TapsFilled

    def before_first(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        record(0, args[0] if args else kwargs["hidden_states"])

    def after(layer: int, _module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        record(layer, output[0] if isinstance(output, tuple) else output)

    wanted = sorted({*layers, *([] if last is None else [last])})
    handles = [
        blocks[0].register_forward_pre_hook(before_first, with_kwargs=True)
        if layer == 0
        else blocks[layer - 1].register_forward_hook(partial(after, layer))
        for layer in wanted
    ]
    handles += [block.register_forward_pre_hook(lambda *_: stop_if_unwanted()) for block in blocks]
    try:
        yield residuals
    finally:
        for handle in handles:
            handle.remove()
