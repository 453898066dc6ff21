"""Attention of the torch decoder: in whole texts, behind what was kept of one, and token by token in many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import scaled_dot_product_attention

from risk_lsp.model.decoders.torch_block import Attention

_QUERIES_AT_ONCE = 64
_ROOM = 128  # tokens by which rows can grow before they are copied to a larger place


class WholeTexts:
    """Texts one behind another, each of which is seen by itself alone."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self._lengths = lengths

    def __call__(self, block: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        found = torch.zeros_like(queries)
        first = 0
        for length in self._lengths:
            part = slice(first, first + length)
            found[part] = _causal(queries[part], keys[part], values[part])
            first = part.stop
        return found.flatten(1)


def _causal(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention of one text's tokens to those before them, [tokens, heads, head_width] each.

    On processors bfloat16 has fast products, which torch's own attention there does without: they take half the time.
    """
    if queries.device.type != "cpu" or queries.dtype != torch.bfloat16:
        queries, keys, values = (each.transpose(0, 1)[None] for each in (queries, keys, values))
        return scaled_dot_product_attention(queries, keys, values, is_causal=True, enable_gqa=True)[0].transpose(0, 1)
    tokens, heads, width = queries.shape
    added = -tokens % _QUERIES_AT_ONCE  # few shapes of products, for each of which kernels are made
    queries, keys, values = (functional.pad(each, (0, 0, 0, 0, 0, added)) for each in (queries, keys, values))
    groups = keys.shape[1]
    # Query heads that share a key head stand together, so that one product serves them all.
    grouped = (queries * width**-0.5).view(tokens + added, groups, -1, width).permute(1, 2, 0, 3)
    # What all keys have in common changes no share, and rounds scores coarsely where it is large (arXiv 2410.02367).
    keys = (keys.float() - keys[:_QUERIES_AT_ONCE].float().mean(dim=0)).to(keys.dtype)
    turned, values = keys.permute(1, 2, 0).contiguous(), values.transpose(0, 1).contiguous()
    later = queries.new_full((_QUERIES_AT_ONCE, _QUERIES_AT_ONCE), -torch.inf).triu_(1)
    found = torch.empty_like(grouped, memory_format=torch.contiguous_format)
    for first in range(0, tokens, _QUERIES_AT_ONCE):
        last = first + _QUERIES_AT_ONCE
        scores = torch.bmm(grouped[:, :, first:last].flatten(1, 2), turned[:, :, :last])
        # Of the square, little more than the needed half is computed.
        scores.view(groups, -1, _QUERIES_AT_ONCE, last)[..., first:] += later
        shares = torch.softmax(scores, dim=-1)
        found[:, :, first:last] = torch.bmm(shares, values[:, :last]).view(groups, -1, _QUERIES_AT_ONCE, width)
    return found.permute(2, 0, 1, 3).reshape(tokens + added, heads, width)[:tokens]


class TorchPast:
    """Keys and values [key_value_heads, tokens, head_width] of one text's tokens so far, in every block that ran."""

    def __init__(self) -> None:
        self._blocks: dict[int, tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        return next((keys.shape[1] for keys, _ in self._blocks.values()), 0)

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(each.nbytes for pair in self._blocks.values() for each in pair)

    def first(self, tokens: int) -> TorchPast:
        """A copy for the first `tokens` tokens, which grows by itself and shares the memory."""
        cut = TorchPast()
        cut._blocks = {block: (keys[:, :tokens], values[:, :tokens]) for block, (keys, values) in self._blocks.items()}
        return cut

    def run_blocks(self) -> Iterable[tuple[int, tuple[Tensor, Tensor]]]:
        """Each block that ran, with its keys and values."""
        return self._blocks.items()

    def extend(self, block: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add those of the next tokens, given as [tokens, key_value_heads, head_width]; returns those of all tokens so
        far.
        """
        keys, values = keys.transpose(0, 1), values.transpose(0, 1)
        if block in self._blocks:
            known_keys, known_values = self._blocks[block]
            keys, values = torch.cat([known_keys, keys], dim=1), torch.cat([known_values, values], dim=1)
        else:  # with one head there is nothing to reorder, and no copy: other texts' rows would be kept with it
            keys, values = (each.clone(memory_format=torch.contiguous_format) for each in (keys, values))
        self._blocks[block] = keys, values
        return self._blocks[block]


class BehindPasts:
    """The next `lengths` tokens of texts, one behind another. Their keys and values are added to those kept of each."""

    def __init__(self, pasts: Sequence[TorchPast], lengths: Sequence[int]) -> None:
        self._texts: list[tuple[TorchPast, int, Tensor | None]] = []
        for past, length in zip(pasts, lengths, strict=True):
            before = len(past)
            # Token i sees all before it: the mask of a square that lacks its first rows.
            mask = torch.ones(length, before + length, dtype=torch.bool).tril(before) if before else None
            self._texts.append((past, length, mask))

    def __call__(self, block: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        found = torch.zeros_like(queries)
        first = 0
        for past, length, mask in self._texts:
            part = slice(first, first + length)
            all_keys, all_values = past.extend(block, keys[part], values[part])
            given = queries[part]
            if mask is None:
                found[part] = _causal(given, all_keys.transpose(0, 1), all_values.transpose(0, 1))
            else:
                given = given.transpose(0, 1)[None]
                found[part] = scaled_dot_product_attention(
                    given, all_keys[None], all_values[None], attn_mask=mask.to(queries.device), enable_gqa=True
                )[0].transpose(0, 1)
            first = part.stop
        return found.flatten(1)


class GrowingRows:
    """Texts that grow by a token each at a time: keys and values side by side, a row for each, with room for more."""

    def __init__(self, lengths: Sequence[int], device: torch.device) -> None:
        self.lengths = torch.tensor(lengths, device=device)  # tokens of each row so far
        self._room = max(lengths) + _ROOM
        self._blocks: dict[int, tuple[Tensor, Tensor]] = {}
        self._mask: Tensor | None = None

    @classmethod
    def behind(cls, past: TorchPast, device: torch.device) -> GrowingRows:
        """One row, of a copy of what was kept of a text."""
        rows = cls([len(past)], device)
        for block, (keys, values) in past.run_blocks():
            room = (0, 0, 0, rows._room - len(past))
            rows._blocks[block] = functional.pad(keys, room)[None], functional.pad(values, room)[None]
        return rows

    def fill(self, first: int, lengths: Sequence[int]) -> Attention:
        """Attention in the texts of rows from `first` on, one behind another, that keeps what can be gone on from."""
        within = WholeTexts(lengths)

        def attend(block: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            for known, given in zip(self._of(block, keys), (keys, values), strict=True):
                for row, part in enumerate(torch.split(given[: sum(lengths)], list(lengths)), start=first):
                    known[row, :, : len(part)] = part.transpose(0, 1)
            return within(block, queries, keys, values)

        return attend

    def choose(self, rows: Sequence[int]) -> None:
        """Go on with `rows` alone, in this order; one that is named twice is there twice."""
        if list(rows) != list(range(len(self.lengths))):
            index = torch.tensor(rows, device=self.lengths.device)
            self.lengths = self.lengths[index]
            for block, (keys, values) in self._blocks.items():
                self._blocks[block] = keys[index], values[index]

    def begin_step(self) -> None:
        """Make room for one more token of each row."""
        longest = int(self.lengths.max()) + 1
        if longest > self._room:
            for block, pair in self._blocks.items():
                keys, values = (functional.pad(each, (0, 0, 0, _ROOM)) for each in pair)
                self._blocks[block] = keys, values
            self._room += _ROOM
        self._mask = (torch.arange(longest, device=self.lengths.device) <= self.lengths[:, None])[:, None, None]

    def step(self, block: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attention of the next token of each row to all before it."""
        assert self._mask is not None  # `begin_step` came before
        known = self._of(block, keys)
        ends = self.lengths[:, None, None, None].expand(len(keys), keys.shape[1], 1, keys.shape[2])
        for each, given in zip(known, (keys, values), strict=True):
            each.scatter_(2, ends, given[:, :, None])
        seen, heads = self._mask.shape[-1], keys.shape[1]
        # Query heads that share a key head stand together, so that one product serves them all.
        grouped = queries.view(len(queries), heads, -1, queries.shape[-1])
        all_keys, all_values = (each[:, :, :seen] for each in known)
        return scaled_dot_product_attention(grouped, all_keys, all_values, attn_mask=self._mask).flatten(1)

    def end_step(self) -> None:
        """Count the token that `step` added to each row in every block."""
        self.lengths = self.lengths + 1

    def _of(self, block: int, like: Tensor) -> tuple[Tensor, Tensor]:
        if block not in self._blocks:
            size = len(self.lengths), like.shape[1], self._room, like.shape[2]
            self._blocks[block] = like.new_zeros(size), like.new_zeros(size)
        return self._blocks[block]
