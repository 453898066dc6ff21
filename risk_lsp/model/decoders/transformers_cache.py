"""What a transformers model keeps of texts: keys and values, of which runs and texts that grow go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, DynamicLayer

from risk_lsp.model.host import Run

# With these what is kept of a token depends on how long the text became.
_ROTATIONS_BY_LENGTH = ("dynamic", "longrope")


class TransformersPast:
    """Keys and values of the first tokens of one text, in every block that ran."""

    def __init__(self, config: Any) -> None:
        self._config = config
        self.cache = DynamicCache(config=config)

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(each.nbytes for keys_values in self._kept_blocks() for each in keys_values)

    @property
    def length(self) -> int:
        """Tokens."""
        return int(self.cache.get_seq_length())

    def first(self, tokens: int) -> TransformersPast:
        """A copy for the first `tokens` tokens, which grows by itself."""
        cut = TransformersPast(self._config)
        for block, (keys, values) in enumerate(self._kept_blocks()):
            cut.cache.update(keys[..., :tokens, :], values[..., :tokens, :], block)
        return cut

    def _kept_blocks(self) -> list[tuple[Any, Any]]:
        """Keys and values [1, heads, tokens, width] of the blocks that ran, which are the first ones."""
        return [(layer.keys, layer.values) for layer in self.cache.layers if layer.is_initialized]


def can_be_gone_on_from(model: nn.Module) -> bool:
    """Whether all blocks keep the keys and values of every token, as they were when it was run.

    Sliding windows, states of recurrent blocks and rotations that follow the text's length cannot be cut back.
    """
    whole: Any = model.config
    config = whole.get_text_config()
    rotations = getattr(config, "rope_parameters", None) or {}
    if getattr(model, "_is_stateful", False) or rotations.get("rope_type") in _ROTATIONS_BY_LENGTH:
        return False
    layers = DynamicCache(config=config).layers
    return len(layers) > 0 and all(type(layer) is DynamicLayer for layer in layers)


# From int64[rows, tokens] and a cache: output and residual streams [rows, tokens, width], and the cache behind them.
GrowingRun: TypeAlias = "Callable[[NDArray[Any], Any], tuple[Tensor, dict[int, Tensor], Any]]"


class TransformersDecoding:
    """See Decoding in host.py. Rows that follow the same text run together; no text is padded."""

    def __init__(
        self, logits: Callable[[Tensor], Tensor], groups: Sequence[RowsOfOneText], layers: Sequence[int]
    ) -> None:
        self._logits_of = logits
        self._layers = layers
        self._places = [(group, 0) for group in groups]
        self.runs: list[Run] = []
        for group in groups if layers else ():
            residuals = {layer: each[0].numpy() for layer, each in group.residuals.items()}
            self.runs.append(Run(residuals, group.final[0]))
        self._take(groups, np.arange(len(groups)))

    def advance(self, rows: Sequence[int], token_ids: NDArray[Any]) -> None:
        """Go on with `rows`, each with one more token."""
        chosen = [self._places[row] for row in rows]
        groups = list(dict.fromkeys(group for group, _ in chosen))
        members = [[index for index, (group, _) in enumerate(chosen) if group is each] for each in groups]
        for group, own in zip(groups, members, strict=True):
            group.advance([chosen[index][1] for index in own], token_ids[own])
        order = np.argsort([index for own in members for index in own])
        together = [(group, place) for group, own in zip(groups, members, strict=True) for place in range(len(own))]
        self._places = [together[index] for index in order]
        self._take(groups, order)

    def _take(self, groups: Sequence[RowsOfOneText], order: NDArray[np.int64]) -> None:
        with torch.inference_mode():
            final = torch.cat([group.final[:, -1] for group in groups])
            self.logits = self._logits_of(final).cpu().numpy()[order]
        self.residuals = {
            layer: torch.cat([group.residuals[layer][:, -1] for group in groups]).numpy()[order]
            for layer in self._layers
        }


class RowsOfOneText:
    """Rows that follow one text: as many tokens in each. `final` and `residuals`: [rows, tokens, width], of the tokens
    that were run last.
    """

    def __init__(self, run: GrowingRun, sequence: NDArray[Any], cache: Any = None) -> None:
        self._run = run
        self.final, self.residuals, self._cache = run(sequence[None], cache)

    def advance(self, rows: Sequence[int], token_ids: NDArray[Any]) -> None:
        """Go on with `rows`, each with one more token."""
        with torch.inference_mode():
            self._cache.reorder_cache(torch.tensor(rows, device=self.final.device))
        self.final, self.residuals, self._cache = self._run(token_ids[:, None], self._cache)
