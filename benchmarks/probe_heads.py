"""Span probes that are compared and not shipped: readers of the tokens around, other poolings, other losses."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from risk_lsp.probe.heads import LineHazardHead, Runs

Reader = Literal["none", "gru", "conv", "attention"]


class ReadingHazardHead(nn.Module):
    """Hazards of tokens that know what stands around them.

    Standardised features -> dropout -> Linear(hidden), GELU -> reader over the text -> with `summary` the mean over the
    text beside each token -> Linear, GELU -> Linear(1), softplus. Without `frailty` theta stays tiny.
    """

    architecture = "hazard"

    def __init__(
        self,
        features: int,
        hidden: int,
        *,
        reader: Reader = "none",
        depth: int = 1,
        summary: bool = False,
        dropout: float = 0.2,
        frailty: bool = True,
    ) -> None:
        super().__init__()
        self.encoder = Standardiser(features)
        self.project = nn.Linear(features, hidden)
        self.dropout = nn.Dropout(dropout)
        self.reader = make_reader(reader, hidden, depth, dropout)
        self.summary = nn.Linear(hidden, hidden) if summary else None
        self.mix = nn.Linear(2 * hidden, hidden) if reader != "none" or summary else None
        self.output = nn.Linear(hidden, 1)
        self.log_theta = nn.Parameter(torch.zeros(()) if frailty else torch.tensor(-6.0), requires_grad=frailty)
        nn.init.constant_(self.output.bias, -4.0)

    def forward(self, features: torch.Tensor, runs: Runs | None = None) -> torch.Tensor:
        """float32[n, features] -> hazards float32[n]."""
        token = functional.gelu(self.project(self.dropout(self.encoder.standardised(features))))
        if self.mix is not None:
            counts = (runs or Runs.one(len(features))).tokens
            given = self.dropout(token)
            read = torch.zeros_like(token) if self.reader is None else self.reader(given, counts)
            if self.summary is not None:
                read = read + torch.repeat_interleave(self.summary(means(given, counts)), counts, dim=0)
            token = functional.gelu(self.mix(self.dropout(torch.cat([token, read], dim=-1))))
        return functional.softplus(self.output(token).squeeze(-1))

    def span_logits(self, values: torch.Tensor, spans: torch.Tensor, count: int) -> torch.Tensor:
        """As for the shipped hazard probe."""
        sums = torch.zeros(count, dtype=values.dtype).index_add_(0, spans, values)
        theta = self.log_theta.exp()
        log_survival = -torch.log1p(theta * sums) / theta
        return torch.log(-torch.expm1(log_survival) + 1e-9) - log_survival


class RecurrentLineHead(LineHazardHead):
    """The shipped kind with a GRU both ways over the lines instead of convolutions: a line may know all the others."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__(features, hidden)
        self.layers = nn.ModuleList([_Recurrent(hidden, 1)])

    def read_lines(self, of_line: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """As for the shipped kind."""
        read: torch.Tensor = self.layers[0](self.dropout(of_line), counts)
        return of_line + read


class AttentionPoolHead(nn.Module):
    """A span is the attention-weighted mean of its tokens' features: neither additive nor coherent."""

    architecture = "attention"

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.encoder = Standardiser(features)
        self.project = nn.Linear(features, hidden)
        self.dropout = nn.Dropout(0.2)
        self.score = nn.Linear(hidden, 1)
        self.output = nn.Linear(hidden, 1)

    def forward(self, features: torch.Tensor, runs: Runs | None = None) -> torch.Tensor:
        """float32[n, features] -> float32[n, hidden]."""
        return functional.gelu(self.project(self.dropout(self.encoder.standardised(features))))

    def span_logits(self, values: torch.Tensor, spans: torch.Tensor, count: int) -> torch.Tensor:
        """Log-odds float32[count] of each span."""
        weights = self.score(values).squeeze(-1).clamp(-15, 15).exp()
        mass = torch.zeros(count).index_add_(0, spans, weights) + 1e-9
        pooled = torch.zeros(count, values.shape[1]).index_add_(0, spans, values * weights.unsqueeze(-1))
        return self.output(pooled / mass.unsqueeze(-1)).squeeze(-1)


class Standardiser(nn.Module):
    """Takes out the mean and spread that features had in training; outliers are clipped."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(features))
        self.scale = nn.Buffer(torch.ones(features))

    def standardised(self, features: torch.Tensor) -> torch.Tensor:
        return ((features - self.mean) / self.scale).clamp(-8.0, 8.0)


def make_reader(kind: Reader, width: int, depth: int, dropout: float) -> nn.Module | None:
    """Maps the rows float32[n, width] of texts of `lengths` int64[texts], one after the other, to such rows."""
    if kind == "gru":
        return _Recurrent(width, depth)
    if kind == "conv":
        return _Convolutions(width, depth, dropout)
    return _Attention(width, depth, dropout) if kind == "attention" else None


class _Recurrent(nn.Module):
    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.gru = nn.GRU(width, width // 2, num_layers=depth, bidirectional=True, batch_first=True)

    def forward(self, rows: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        filled = torch.nonzero(lengths).squeeze(1)  # an empty text cannot be packed, and has no rows
        padded, mask = pad(rows, lengths[filled])
        packed = nn.utils.rnn.pack_padded_sequence(padded, lengths[filled], batch_first=True, enforce_sorted=False)
        read, _ = nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        return read[mask]


class _Convolutions(nn.Module):
    """Residual convolutions over 5 tokens with dilations 1, 2, 4, ...; texts are laid out with gaps between them."""

    def __init__(self, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, 5, padding=2 * 2**level, dilation=2**level) for level in range(depth)
        )
        self.dropout = nn.Dropout(dropout)
        self.gap = 2 * 2 ** (depth - 1)

    def forward(self, rows: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        text = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
        places = torch.arange(len(rows)) + text * self.gap
        inside = rows.new_zeros(1, len(rows) + len(lengths) * self.gap)
        inside[0, places] = 1.0
        read = rows.new_zeros(rows.shape[1], inside.shape[1])
        read[:, places] = rows.T
        for layer in self.layers:
            read = read + functional.gelu(layer(self.dropout(read * inside)))
        return read[:, places].T


class _Attention(nn.Module):
    """Transformer blocks over the whole text, after one convolution that tells order; texts of like length together."""

    def __init__(self, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.order = _Convolutions(width, 1, dropout)
        block = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, depth, enable_nested_tensor=False)

    def forward(self, rows: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        texts = list(self.order(rows, lengths).split(lengths.tolist()))
        found: list[torch.Tensor] = [rows] * len(texts)
        order = [index for index in torch.argsort(lengths).tolist() if len(texts[index])]
        for first in range(0, len(order), 8):
            batch = order[first : first + 8]
            padded, mask = pad(torch.cat([texts[index] for index in batch]), lengths[batch])
            read = self.blocks(padded, src_key_padding_mask=~mask)[mask].split(lengths[batch].tolist())
            for index, each in zip(batch, read, strict=True):
                found[index] = each
        return torch.cat([each for index, each in enumerate(found) if len(texts[index])])


def means(rows: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The mean row of each text, float32[texts, width]."""
    text = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    sums = rows.new_zeros(len(lengths), rows.shape[1]).index_add_(0, text, rows)
    return sums / lengths.clamp(min=1).unsqueeze(1)


def pad(rows: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of one text after the other -> float32[texts, longest, width] and the mask of what is no padding."""
    mask = torch.arange(int(lengths.max())) < lengths.unsqueeze(1)
    padded = rows.new_zeros(*mask.shape, rows.shape[1])
    padded[mask] = rows
    return padded, mask
