"""The span probes as they are fitted: small networks over token features. ProbeReader runs those that ship."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from risk_lsp.errors import BadInput
from risk_lsp.probe.bundle import PROBE_FILE
from risk_lsp.probe.calibration import is_familiarity
from risk_lsp.probe.layout import OFF_LINE
from risk_lsp.probe.token_hazards import DILATIONS, GAP, KERNEL, LOOKS_TENSOR, Architecture, ProbeReader

HeadKind = Architecture | Literal["max_pool"]  # the second is measured and does not ship

_INPUT_DROPOUT = 0.2
_LINES_DROPOUT = 0.3
_ROWS_AT_ONCE = 512  # tokens whose features stay in the cache from step to step: a third of the time
_SPANS_AT_ONCE = 65_536  # whose maxima are held in memory together
_INITIAL_HAZARD_LOGIT = -4.0  # softplus gives about .02: close to the share of tokens that are edited


class Runs(NamedTuple):
    """How the n tokens of a batch make up texts and lines.

    `tokens` and `lines` int64[texts] are what each text has of either, one text after the other; `line` int64[n] is
    that of each token, numbered through the batch, or OFF_LINE.
    """

    tokens: torch.Tensor
    lines: torch.Tensor
    line: torch.Tensor

    @classmethod
    def one(cls, tokens: int) -> Runs:
        """One text without lines."""
        return cls(torch.tensor([tokens]), torch.tensor([0]), torch.full((tokens,), OFF_LINE))


class _Dropout(nn.Module):
    """Dropout of a share of numbers, a random byte for each: torch draws them one by one, most of a step's work."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self._dropped = round(256 * share)  # of the values of a byte

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """A new tensor float32 of the same shape; outside training what was given."""
        if not self.training:
            return given
        words = torch.empty(given.numel() // 8 + 1, dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: given.numel()].view(given.shape) >= self._dropped
        return (given * kept).mul_(256 / (256 - self._dropped))


class _TokenEncoder(nn.Module):
    """Standardise, dropout, Linear, GELU, for each token by itself: float[n, features] -> float32[n, hidden]."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(features))
        self.scale = nn.Buffer(torch.ones(features))
        self.dropout = _Dropout(_INPUT_DROPOUT)
        self.project = nn.Linear(features, hidden)

    def standardise(self, features: torch.Tensor) -> torch.Tensor:
        """The features with the mean and spread they had in training taken out, outliers clipped."""
        return (features - self.mean).div_(self.scale).clamp_(-8.0, 8.0)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        pieces = features.split(_ROWS_AT_ONCE)  # type: ignore[no-untyped-call]
        projected = [self.project(self.dropout(self.standardise(piece))) for piece in pieces]
        return functional.gelu(torch.cat(projected))


class HazardHead(nn.Module):
    """One non-negative hazard per token; a span's hazard is the sum of its tokens' (shared-frailty survival model).

    `log_theta` is the frailty that training used; what a span's hazard means after training is the calibration's job.
    """

    architecture: Architecture = "hazard"

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.encoder = _TokenEncoder(features, hidden)
        self.output = nn.Linear(hidden, 1)
        self.log_theta = nn.Parameter(torch.zeros(()))
        nn.init.constant_(self.output.bias, _INITIAL_HAZARD_LOGIT)

    def forward(self, features: torch.Tensor, runs: Runs | None = None) -> torch.Tensor:
        """float32[n, features] -> hazards float32[n]; without `runs`, of one text."""
        return functional.softplus(self.output(self.encoder(features)).squeeze(-1))

    def span_logits(self, values: torch.Tensor, spans: torch.Tensor, count: int) -> torch.Tensor:
        """Log-odds float32[count] that each span is edited.

        `values` are what forward gave for n tokens; `spans` int64[n] is the span each of them belongs to.
        """
        sums = torch.zeros(count, dtype=values.dtype).index_add_(0, spans, values)
        theta = self.log_theta.exp()
        log_survival = -torch.log1p(theta * sums) / theta
        return torch.log(-torch.expm1(log_survival) + 1e-9) - log_survival


class LineHazardHead(HazardHead):
    """Hazards of tokens that know their line, the lines around it, and the whole text.

    The first LAYOUT features are the tokens' layout. Token features as in HazardHead -> their mean over each line ->
    residual convolutions over the lines, to both sides; a token beside what was read of its line, and beside a linear
    map of the mean over the text -> Linear, GELU -> Linear(1), softplus.
    """

    architecture: Architecture = "lines"

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__(features, hidden)
        self.layers = nn.ModuleList(
            nn.Conv1d(hidden, hidden, KERNEL, padding=(KERNEL // 2) * dilation, dilation=dilation)
            for dilation in DILATIONS
        )
        self.summary = nn.Linear(hidden, hidden)
        self.mix = nn.Linear(3 * hidden, hidden)
        self.dropout = _Dropout(_LINES_DROPOUT)

    def forward(self, features: torch.Tensor, runs: Runs | None = None) -> torch.Tensor:
        """float32[n, features] -> hazards float32[n]; without `runs`, of one text without lines."""
        tokens, lines, line = runs or Runs.one(len(features))
        token = self.encoder(features)
        given = self.dropout(token)
        text, on_line = _owners(tokens), line != OFF_LINE
        of_line = _means(given[on_line], line[on_line], int(lines.sum()))
        read = self.read_lines(of_line, lines)
        around = torch.zeros_like(token).index_put((torch.nonzero(on_line).squeeze(1),), read[line[on_line]])
        whole = self.summary(_means(given, text, len(tokens)))[text]
        mixed = functional.gelu(self.mix(self.dropout(torch.cat([token, around, whole], dim=-1))))
        return functional.softplus(self.output(mixed).squeeze(-1))

    def read_lines(self, of_line: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Lines float32[n, hidden], `counts` of them in each text -> the same lines with what stands around them."""
        # Residual convolutions over rows float32[n, hidden], `counts` of each text; gaps keep texts apart.
        text = _owners(counts)
        places = torch.arange(len(of_line)) + text * GAP
        inside = of_line.new_zeros(1, len(of_line) + len(counts) * GAP)
        inside[0, places] = 1.0
        read = of_line.new_zeros(of_line.shape[1], inside.shape[1])
        read[:, places] = of_line.T
        for layer in self.layers:
            read = read + functional.gelu(layer(self.dropout(read * inside)))
        return read[:, places].T


class MaxPoolHead(nn.Module):
    """The probe of arXiv 2512.24560: token features, maximum over the span, one linear layer."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.encoder = _TokenEncoder(features, hidden)
        self.output = nn.Linear(hidden, 1)

    def forward(self, features: torch.Tensor, runs: Runs | None = None) -> torch.Tensor:
        """float32[n, features] -> pooled-over features float32[n, hidden]."""
        encoded: torch.Tensor = self.encoder(features)
        return encoded

    def span_logits(self, values: torch.Tensor, spans: torch.Tensor, count: int) -> torch.Tensor:
        """Log-odds float32[count] that each span is edited, as for the hazard probe."""
        index = spans.unsqueeze(1).expand_as(values)
        pooled = torch.full((count, values.shape[1]), -1e4).scatter_reduce(0, index, values, "amax")
        logits: torch.Tensor = self.output(pooled).squeeze(-1)
        return logits


class HazardEnsemble(nn.Module):
    """The mean hazards of hazard probes of one architecture, which were fitted from different seeds."""

    def __init__(self, members: Sequence[HazardHead]) -> None:
        super().__init__()
        self.architecture = members[0].architecture
        self.members = nn.ModuleList(members)

    def forward(self, features: torch.Tensor, runs: Runs | None = None) -> torch.Tensor:
        """float32[n, features] -> hazards float32[n]; without `runs`, of one text."""
        return torch.stack([member(features, runs) for member in self.members]).mean(dim=0)


HazardProbe = HazardHead | HazardEnsemble
SpanHead = HazardHead | MaxPoolHead
FittedHead = SpanHead | HazardEnsemble


def pooled_probabilities(
    head: MaxPoolHead, values: NDArray[np.float64], first: NDArray[np.int64], last: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The probability that each span of tokens [first, last) is edited, float64[spans]; 0.0 for one without tokens.

    `values` float64[tokens, hidden] are what the head gives for all tokens.
    """
    weight, bias = tensors_of(head.output)["weight"].reshape(-1), float(head.output.bias.detach())
    found = np.zeros(len(first))
    filled = np.flatnonzero(last > first)
    bounded = np.concatenate([values, values[:1]])  # reduceat takes no bound behind the last row
    for rows in np.array_split(filled, len(filled) // _SPANS_AT_ONCE + 1):
        bounds = np.stack([first[rows], last[rows]], axis=1).reshape(-1)
        maxima = np.maximum.reduceat(bounded, bounds, axis=0)[::2] if len(rows) else bounded[:0]
        found[rows] = np.exp(-np.logaddexp(0.0, -(maxima @ weight + bias)))
    return found


def new_head(architecture: HeadKind, features: int, hidden: int) -> SpanHead:
    """An untrained head of the named architecture."""
    kinds: dict[HeadKind, type[SpanHead]] = {
        "hazard": HazardHead,
        "lines": LineHazardHead,
        "max_pool": MaxPoolHead,
    }
    return kinds[architecture](features, hidden)


def load_head(bundle: Path, architecture: HeadKind, features: int, members: int) -> HazardProbe:
    """The probe of a bundle as it was fitted, for so many features of a token. BadInput if the bundle has no such."""
    try:
        tensors = load_file(bundle / PROBE_FILE)
        prefixes = [f"members.{member}." for member in range(members)] if members > 1 else [""]
        found: list[HazardHead] = []
        for prefix in prefixes:
            own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            own = {name: each for name, each in own.items() if not is_familiarity(name) and name != LOOKS_TENSOR}
            head = new_head(architecture, features, len(own["encoder.project.weight"]))
            head.load_state_dict(own)
            assert isinstance(head, HazardHead)
            found.append(head)
    except (SafetensorError, RuntimeError, OSError, KeyError, ValueError):
        wanted = f"{architecture} probe of {features:,} features and {members} members"
        raise BadInput(f"{bundle} holds no {wanted}", "name a bundle that the same options gave") from None
    return (found[0] if members == 1 else HazardEnsemble(found)).eval()


def tensors_of(head: nn.Module) -> dict[str, NDArray[np.float32]]:
    """The weights of a fitted head by name, float32."""
    return {name: tensor.float().contiguous().numpy() for name, tensor in head.state_dict().items()}


def reader_of(head: HazardProbe) -> ProbeReader:
    """The reader that runs a fitted head without torch."""
    members = len(head.members) if isinstance(head, HazardEnsemble) else 1
    return ProbeReader(head.architecture, tensors_of(head), members)


def _owners(counts: torch.Tensor) -> torch.Tensor:
    """The text that each row belongs to, int64[sum of counts]."""
    return torch.repeat_interleave(torch.arange(len(counts)), counts)


def _means(rows: torch.Tensor, owner: torch.Tensor, owners: int) -> torch.Tensor:
    """The mean of the rows of each owner, float32[owners, hidden]; 0 for one without rows."""
    sums = rows.new_zeros(owners, rows.shape[1]).index_add_(0, owner, rows)
    return sums / torch.bincount(owner, minlength=owners).clamp(min=1).unsqueeze(1)
