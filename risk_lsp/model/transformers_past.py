"""What a transformers model keeps of the tokens it ran, cut back and gone on from. The only place that cuts caches."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers.cache_utils import DynamicCache, DynamicLayer

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
        return sum(each.nbytes for keys_values in self._kept() for each in keys_values)

    def first(self, tokens: int) -> TransformersPast:
        """Those of the first `tokens` tokens alone, that can be gone on from by themselves."""
        cut = TransformersPast(self._config)
        for block, (keys, values) in enumerate(self._kept()):
            cut.cache.update(keys[..., :tokens, :], values[..., :tokens, :], block)
        return cut

    def _kept(self) -> list[tuple[Any, Any]]:
        """Of the blocks that ran, which are the first ones: [1, heads, tokens, width] each."""
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
