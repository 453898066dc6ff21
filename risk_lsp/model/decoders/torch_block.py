"""One decoder block in torch, on the tokens of several texts one behind another, and the head behind the last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from risk_lsp.model.decoders.torch_weights import Weights, product_type
from risk_lsp.model.host import DecoderShape

_ROWS_AT_ONCE = 512  # of a product: more are no faster, and what they give takes memory


class Attention(Protocol):
    """How the tokens of a pass look at each other and at those before them."""

    def __call__(self, block: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """From [tokens, heads, head_width] to [tokens, heads x head_width]; keys and values have their own heads."""
        ...


class TorchBlock:
    """Attention and a gated feed-forward layer, each behind an RMS norm and added to the residual stream.

    Products are computed in the `product_type` of the weights, norms and the residual stream in float32.
    """

    def __init__(
        self, shape: DecoderShape, weights: Weights, block: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self._shape = shape
        self._block = block

        def join(*names: str, part: str = "weight", kind: torch.dtype = dtype) -> Tensor:
            parts = [f"model.layers.{block}.{name}.{part}" for name in names]
            sizes = [weights.shapes[each] for each in parts]
            target = torch.empty((sum(size[0] for size in sizes), *sizes[0][1:]), dtype=kind)
            first = 0
            for each, size in zip(parts, sizes, strict=True):
                weights.copy(each, target[first : first + size[0]])
                first += size[0]
            return target.to(device)

        def norm(name: str) -> Tensor:
            return join(name, kind=torch.float32)

        def linear(*names: str, biased: bool) -> Linear:
            kind = product_type(dtype, device)
            return Linear(join(*names), join(*names, part="bias", kind=kind) if biased else None)

        self._attention_norm = norm("input_layernorm")
        self._feed_forward_norm = norm("post_attention_layernorm")
        self._query_norm = norm("self_attn.q_norm") if shape.normalised_queries else None
        self._key_norm = norm("self_attn.k_norm") if shape.normalised_queries else None
        self._qkv = linear(*(f"self_attn.{each}_proj" for each in "qkv"), biased=shape.query_bias)
        self._out = linear("self_attn.o_proj", biased=shape.output_bias)
        self._gate_up = linear("mlp.gate_proj", "mlp.up_proj", biased=shape.feed_forward_bias)
        self._down = linear("mlp.down_proj", biased=shape.feed_forward_bias)

    def run(self, hidden: Tensor, angles: tuple[Tensor, Tensor], attention: Attention) -> Tensor:
        """The residual stream float32[tokens, width] after this block; `hidden` is overwritten.

        angles: cosines and sines of each token's position, float32[tokens, 1, head_width].
        """
        parts = torch.split(hidden, _ROWS_AT_ONCE)
        mixed = torch.cat([self._mix(part) for part in parts]) if len(parts) > 1 else self._mix(hidden)
        found = attention(self._block, *self._heads(mixed, angles))
        for part, attended in zip(parts, torch.split(found, _ROWS_AT_ONCE), strict=True):
            part += self._out(attended)
            normalised = rms_norm(part, self._feed_forward_norm, self._shape.epsilon).to(self._gate_up.dtype)
            gate, up = self._gate_up(normalised).chunk(2, dim=-1)
            part += self._down(functional.silu(gate).mul_(up))
        return hidden

    def _mix(self, hidden: Tensor) -> Tensor:
        normalised = rms_norm(hidden, self._attention_norm, self._shape.epsilon).to(self._qkv.dtype)
        return self._qkv(normalised)

    def _heads(self, mixed: Tensor, angles: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        shape = self._shape
        turned = shape.heads + shape.key_value_heads
        mixed = mixed.view(len(mixed), -1, shape.head_width)
        queries_keys = mixed[:, :turned].float()
        if self._query_norm is not None and self._key_norm is not None:
            queries_keys = torch.cat(
                [
                    rms_norm(queries_keys[:, : shape.heads], self._query_norm, shape.epsilon),
                    rms_norm(queries_keys[:, shape.heads :], self._key_norm, shape.epsilon),
                ],
                dim=1,
            )
        queries_keys = _rotate(queries_keys, angles).to(mixed.dtype)
        return queries_keys[:, : shape.heads], queries_keys[:, shape.heads :], mixed[:, turned:]


def rms_norm(hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Root-mean-square norm over the last axis (arXiv 1910.07467)."""
    return functional.rms_norm(hidden, weight.shape, weight, epsilon)


def rotations(positions: Tensor, frequencies: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Cosines and sines float32[positions, 1, width] of rotary embeddings (arXiv 2104.09864), in two halves."""
    angles = positions.double()[:, None] * torch.tensor(frequencies, dtype=torch.double, device=positions.device)
    twice = torch.cat([angles, angles], dim=1)[:, None]
    return twice.cos().float(), twice.sin().float()


def _rotate(heads: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """float32[tokens, heads, width], each pair of coordinates turned by its token's angle."""
    cosines, sines = angles
    half = heads.shape[-1] // 2
    rotated = heads * cosines
    rotated[..., :half].addcmul_(heads[..., half:], sines[..., :half], value=-1)
    rotated[..., half:].addcmul_(heads[..., :half], sines[..., half:])
    return rotated


_ROWS_OF_A_BATCH = 256  # for which the layout is chosen; it serves other numbers as well


class Linear:
    """Maps [rows, columns] to [rows, outputs] by a weight [outputs, columns] and a bias, if there is one.

    On processors the weight is kept in the blocks that oneDNN or, of float16, FBGEMM computes with, or it would be
    reordered for each product. That costs half of the time where rows are few. `dtype` is that of rows, products and
    bias.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.outputs, self.columns = weight.shape
        self.dtype = product_type(weight.dtype, weight.device)
        self._bias = bias
        self._widens = self.dtype != weight.dtype
        self._packed = not self._widens and _is_packed(weight)
        if self._widens:
            self._weight: Any = torch.ops.quantized.linear_prepack_fp16(weight.float(), bias)
        else:
            self._weight = _onednn()._reorder_linear_weight(weight, _ROWS_OF_A_BATCH) if self._packed else weight

    def __call__(self, rows: Tensor) -> Tensor:
        """The products of contiguous rows."""
        found: Tensor
        if self._widens:
            found = torch.ops.quantized.linear_dynamic_fp16(rows, self._weight)
        elif self._packed:
            found = _onednn()._linear_pointwise(rows, self._weight, self._bias, "none", [], "")
        else:
            found = functional.linear(rows, self._weight, self._bias)
        return found


def _is_packed(weight: Tensor) -> bool:
    """Whether oneDNN is there and takes a weight of this number type."""
    if weight.device.type != "cpu" or not hasattr(_onednn(), "_linear_pointwise") or not torch._C._has_mkldnn:
        return False
    if weight.dtype == torch.bfloat16:
        return bool(_onednn()._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32


def _onednn() -> Any:
    return torch.ops.mkldnn


_HEAD_ROWS_AT_ONCE = 256
_WORDS_AT_ONCE = 8192  # 8 MiB of float32 with as many rows: they stay in the cache while they are worked on


class TorchHead:
    """Maps normalised outputs to logits by the rows of `weight` [vocabulary, width]."""

    def __init__(self, weight: Tensor) -> None:
        self._parts = [Linear(words.contiguous()) for words in torch.split(weight, _WORDS_AT_ONCE)]

    def logits(self, final: Tensor) -> Tensor:
        """float32[rows, vocabulary] for contiguous [rows, width]."""
        return torch.cat([part(final) for part in self._parts], dim=1).float()

    def statistics(self, final: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability of each target and entropy of the distribution it was drawn from, in nats: float32[rows]."""
        found = [
            self._statistics(rows, chosen)
            for rows, chosen in zip(
                torch.split(final, _HEAD_ROWS_AT_ONCE), torch.split(targets, _HEAD_ROWS_AT_ONCE), strict=True
            )
        ]
        log_probabilities, entropies = (torch.cat(each) for each in zip(*found, strict=True))
        return log_probabilities, entropies

    def _statistics(self, rows: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The same of some rows, by sums over parts of the words, scaled by the largest logit (arXiv 1805.02867)."""
        largest = torch.full((len(rows),), -torch.inf, device=rows.device)
        chosen, total, weighted = torch.zeros((3, len(rows)), device=rows.device)
        first = 0
        for part in self._parts:
            logits = part(rows).float()
            inside = (targets >= first) & (targets < first + part.outputs)
            chosen[inside] = logits[inside, targets[inside] - first]
            first += part.outputs
            above = torch.maximum(largest, logits.amax(dim=1))
            moved = largest - above
            scale = moved.exp()
            # total: of exp(z - largest); weighted: of exp(z - largest) (z - largest).
            weighted = scale * torch.where(total > 0, weighted + moved * total, 0.0)
            total *= scale
            logits -= above[:, None]
            exponentials = logits.exp()
            total += exponentials.sum(dim=1)
            weighted += torch.linalg.vecdot(exponentials, logits)
            largest = above
        # H = -sum p log p with p = exp(z - largest) / total.
        return chosen - largest - total.log(), total.log() - weighted / total
