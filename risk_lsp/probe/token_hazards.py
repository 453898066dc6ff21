"""What a probe sees of each token of a text, and the hazard that it makes of it, in numpy: torch is slow to import."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BundleError, ModelError
from risk_lsp.model.cores import Threads
from risk_lsp.probe.calibration import Familiarity
from risk_lsp.probe.layout import LAYOUT, OFF_LINE, TokenLayout, token_layout, weigh_lines
from risk_lsp.text.document import Span
from risk_lsp.text.structure import sections

if TYPE_CHECKING:
    from risk_lsp.model.code_model import Activations
    from risk_lsp.model.tokenizer import Encoding
    from risk_lsp.model.window_memory import WindowMemory
    from risk_lsp.probe.manifest import Manifest  # which imports the architectures from here

STATISTICS = 3  # surprisal, entropy, and how much more surprising the token was than the model expected


def feature_count(layers: int, width: int, *, statistics: bool, layout: bool = False) -> int:
    """Numbers per token for `layers` tapped layers of `width`, behind those of the token's layout if it is read."""
    return (LAYOUT if layout else 0) + layers * width + (STATISTICS if statistics else 0)


def token_features(
    activations: Activations,
    *,
    statistics: bool,
    before: Sequence[NDArray[np.float32]] = (),
) -> NDArray[np.float32]:
    """float32[tokens, features]: the layers side by side, then surprisal, entropy and their difference in nats.

    `before` are columns of the same tokens that come first. Raises ModelError if a number is not finite (a damaged
    model, or one run in too narrow a type).
    """
    values = activations.values
    parts = [*before, values.reshape(len(values), values.shape[1] * values.shape[2])]
    if statistics:
        if activations.log_probabilities is None or activations.entropies is None:
            raise ModelError(
                "the probe wants token statistics that the model was not asked for", "read with statistics=True"
            )
        surprisal, entropy = -activations.log_probabilities, activations.entropies
        parts.append(np.stack([surprisal, entropy, surprisal - entropy], axis=1))
    features = np.concatenate(parts, axis=1, dtype=np.float32)
    if not np.isfinite(features).all():
        raise ModelError("the model's activations are not finite", "use dtype float32 or bfloat16, or another model")
    return features


_QUANTILES = 101


def novelty_distance(standardised: NDArray[np.float32]) -> float:
    """Root mean square of the text's mean standardised features: 0 for a text that is average in every feature."""
    return float(np.sqrt(np.mean(np.square(standardised.mean(axis=0))))) if len(standardised) else 0.0


def novelty_table(distances: list[float]) -> dict[str, Any]:
    """What the manifest keeps: the quantiles of the calibration texts' distances, 0% to 100%."""
    return {"quantiles": np.quantile(distances, np.linspace(0, 1, _QUANTILES)).round(6).tolist()} if distances else {}


def novelty_of(distance: float, table: dict[str, Any]) -> float | None:
    """The share of calibration texts that are more like the average than this text, in [0, 1]; None without a table."""
    quantiles = table.get("quantiles")
    if quantiles is None:
        return None
    try:
        known = np.asarray(quantiles, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        known = np.zeros(0)
    if known.shape != (_QUANTILES,) or not np.isfinite(known).all() or (np.diff(known) < 0).any():
        raise BundleError("manifest: novelty has no rising list of 101 quantiles", "fit the probe again")
    return float(np.interp(distance, known, np.linspace(0, 1, _QUANTILES)))


Floats = NDArray[np.float32]


def gelu(values: Floats) -> Floats:
    """x times the normal distribution function of x (Hendrycks and Gimpel, arXiv 1606.08415).

    The error function, which numpy lacks, is right to 1.5e-7: Abramowitz and Stegun, 7.1.26.
    """
    scaled = values * np.float32(0.5**0.5)
    t = np.float32(1) / (np.float32(1) + np.float32(0.3275911) * np.abs(scaled))
    polynomial = np.zeros_like(scaled)
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        polynomial = (polynomial + np.float32(coefficient)) * t
    erf: Floats = np.copysign(np.float32(1) - polynomial * np.exp(-np.square(scaled)), scaled)
    found: Floats = np.float32(0.5) * values * (np.float32(1) + erf)
    return found


KERNEL = 5
DILATIONS = (1, 2, 4)
GAP = (KERNEL // 2) * max(DILATIONS)  # what keeps one text, or part of one, out of another's reach

Owners = NDArray[np.int64]


def context_shapes(hidden: int) -> dict[str, tuple[int, ...]]:
    """Name and shape of the tensors that a probe of lines has beyond those of a hazard probe."""
    shapes: dict[str, tuple[int, ...]] = {
        "summary.weight": (hidden, hidden),
        "summary.bias": (hidden,),
        "mix.weight": (hidden, 3 * hidden),
        "mix.bias": (hidden,),
    }
    for number in range(len(DILATIONS)):
        shapes[f"layers.{number}.weight"] = (hidden, hidden, KERNEL)
        shapes[f"layers.{number}.bias"] = (hidden,)
    return shapes


def with_lines(tensors: Mapping[str, Floats], token: Floats, layout: TokenLayout) -> Floats:
    """Encoded tokens float32[n, hidden] of one text -> what each is in its line and part, float32[n, hidden]."""
    if not len(token):
        return token
    on_line = layout.line != OFF_LINE
    line = layout.line[on_line]
    of_line = np.zeros((layout.line_count, token.shape[1]), dtype=np.float32)
    known, means = _means(token[on_line], line)
    of_line[known] = means
    around = np.zeros_like(token)
    around[on_line] = _with_neighbours(tensors, of_line, layout.line_part)[line]
    parts, of_part = _means(token, layout.part)
    summaries = of_part @ tensors["summary.weight"].T + tensors["summary.bias"]
    beside = np.concatenate([token, around, summaries[np.searchsorted(parts, layout.part)]], axis=1)
    return gelu(beside @ tensors["mix.weight"].T + tensors["mix.bias"])


def _means(rows: Floats, owner: Owners) -> tuple[Owners, Floats]:
    """Owners that have rows, and the mean of each one's rows; `owner` int64[rows] rises."""
    known, first, counts = np.unique(owner, return_index=True, return_counts=True)
    if not len(known):
        return known, np.zeros((0, rows.shape[1]), dtype=np.float32)
    means = np.add.reduceat(rows, first, axis=0) / counts[:, None]
    return known, means.astype(np.float32)


def _with_neighbours(tensors: Mapping[str, Floats], rows: Floats, owner: Owners) -> Floats:
    """Residual convolutions over rows float32[n, hidden], to both sides; zeros between owners, whose rows are runs."""
    if not len(rows):
        return rows
    places = GAP + np.arange(len(rows)) + (owner - owner[0]) * GAP
    laid = np.zeros((places[-1] + GAP + 1, rows.shape[1]), dtype=np.float32)
    for number, dilation in enumerate(DILATIONS):
        weight, bias = tensors[f"layers.{number}.weight"], tensors[f"layers.{number}.bias"]
        laid[places] = rows
        found = np.zeros_like(rows)
        for tap in range(KERNEL):
            found += laid[places + (tap - KERNEL // 2) * dilation] @ weight[:, :, tap].T
        rows = rows + gelu(found + bias)
    return rows


Architecture = Literal["hazard", "lines"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)


def uses_layout(architecture: str) -> bool:
    """Whether a probe of this architecture reads where tokens stand, as its first features, and their lines."""
    return architecture == "lines"


def head_shapes(architecture: Architecture, features: int, hidden: int, members: int = 1) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a probe, or of an ensemble of several."""
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.mean": (features,),
        "encoder.scale": (features,),
        "encoder.project.weight": (hidden, features),
        "encoder.project.bias": (hidden,),
        "output.weight": (1, hidden),
        "output.bias": (1,),
        "log_theta": (),
    }
    one = {**shapes, **context_shapes(hidden)} if architecture == "lines" else shapes
    if members == 1:
        return one
    return {f"members.{member}.{name}": shape for member in range(members) for name, shape in one.items()}


LOOKS_TENSOR = "looks.weight"


class ProbeReader:
    """What the heads compute in evaluation mode, from the same tensors.

    Several members are an ensemble of hazard probes, which give the mean of their hazards. Where the tensors hold
    weights of how a line looks, float32[LOOKS], the hazards of a line get a factor of exp(looks @ weights), and all
    lines of a part together keep their sum.
    """

    def __init__(
        self, architecture: Architecture, tensors: Mapping[str, Floats], members: int = 1, threads: int | None = None
    ) -> None:
        self.architecture = architecture
        self.threads = Threads(threads)
        self._members = [tensors]
        if members > 1:
            self._members = [
                {name.removeprefix(head): tensor for name, tensor in tensors.items() if name.startswith(head)}
                for head in (f"members.{member}." for member in range(members))
            ]
        self._tensors = self._members[0]
        seen = len(self._tensors["encoder.mean"]) - (LAYOUT if uses_layout(architecture) else 0)
        self._familiarity = Familiarity.from_tensors(tensors, seen)
        self._looks = tensors.get(LOOKS_TENSOR)
        # One product serves all members.
        self._project = np.concatenate([tensors["encoder.project.weight"] for tensors in self._members])
        self._bias = np.concatenate([tensors["encoder.project.bias"] for tensors in self._members])

    def standardise(self, features: Floats) -> Floats:
        """The features with the mean and spread they had in training (of every member) taken out, outliers clipped."""
        standardised = features - self._tensors["encoder.mean"]
        standardised /= self._tensors["encoder.scale"]
        return np.clip(standardised, np.float32(-8), np.float32(8), out=standardised)

    def hazards(self, standardised: Floats, layout: TokenLayout) -> Floats:
        """Standardised features float32[n, features] of one text -> hazards float32[n].

        `layout` is that of its tokens; its parts are read each by itself.
        """
        encoded = np.split(gelu(standardised @ self._project.T + self._bias), len(self._members), axis=1)
        hazards: list[Floats] = []
        for tensors, tokens in zip(self._members, encoded, strict=True):
            if uses_layout(self.architecture):
                tokens = with_lines(tensors, tokens, layout)
            logits = tokens @ tensors["output.weight"].reshape(-1) + tensors["output.bias"][0]
            hazards.append(np.logaddexp(np.float32(0), logits))  # softplus
        found: Floats = hazards[0] if len(hazards) == 1 else np.mean(hazards, axis=0, dtype=np.float32)
        if self._looks is None:
            return found
        return weigh_lines(found, layout.line, layout.line_part, layout.looks @ self._looks).astype(np.float32)

    def belief(self, standardised: Floats, layout: TokenLayout, parts: int) -> NDArray[np.float64]:
        """How far the level of each part is believed, float64[parts] from 0 to 1; 1 where the probe cannot tell.

        `standardised` as in hazards. Where a token stands says nothing of it.
        """
        found = np.ones(parts)
        if self._familiarity is not None:
            known, means = _means(standardised[:, _layout_width(self) :], layout.part)
            found[known] = self._familiarity.belief(means)
        return found


_TOKENS_AT_ONCE = 2_048  # by each thread; bounds what is held of a long text


class TokenRows(Protocol):
    """Tokens of a text and what happened at them inside the model."""

    @property
    def encoding(self) -> Encoding: ...

    def rows(self, tokens: slice) -> Activations:
        """Those tokens alone, which are given from start to stop."""
        ...

    def origin(self, tokens: slice) -> Hashable:
        """What tells the rows of these tokens from all others; None if nothing does."""
        ...


class TokenReading(NamedTuple):
    """`values`: hazards float32[n]; `novelty`: None where the bundle has no table of it."""

    values: NDArray[np.float32]
    novelty: float | None


class _PartReading(NamedTuple):
    """Hazards float32[n] of the tokens of one part of a text, and the sum of their features."""

    values: NDArray[np.float32]
    sums: NDArray[np.float32]

    @property
    def size(self) -> int:
        """Bytes."""
        return self.values.nbytes + self.sums.nbytes


def read_tokens(
    reader: ProbeReader,
    text: str,
    tokens: TokenRows,
    manifest: Manifest,
    whole: Encoding | None = None,
    parts_of: Callable[[str], list[Span]] = sections,
    memory: WindowMemory | None = None,
) -> TokenReading:
    """Run the probe over the tokens of one text (all, or those of its encoding `whole` that are known), in float32.

    The parts of the text, `parts_of` it, are read each by itself. Parts that `memory` knows from another reading are
    not read again.
    """
    encoding, parts = tokens.encoding, parts_of(text)
    counts = _token_counts(parts, encoding)
    of_whole = counts if whole is None else _token_counts(parts, whole)

    def read(group: range) -> list[_PartReading]:
        """The tokens of neighbouring parts."""
        own = parts[group.start : group.stop]
        standardised, layout = _standardise_parts(reader, text, own, tokens, statistics=manifest.statistics)
        found = reader.hazards(standardised, layout)
        totals = np.bincount(layout.part, found, len(own)).astype(np.float64)
        # The tokens that are not known are taken to be like those that are.
        known = counts[group.start : group.stop]
        totals = totals * (of_whole[group.start : group.stop] / np.maximum(known, 1))
        belief = reader.belief(standardised, layout, len(own))
        values = (found * manifest.calibration.factor(totals, belief)[layout.part]).astype(np.float32)
        borders = np.cumsum(known)[:-1]
        return [
            _PartReading(each, seen.sum(axis=0, dtype=np.float64).astype(np.float32))
            for each, seen in zip(
                np.split(values, borders), np.split(standardised[:, _layout_width(reader) :], borders), strict=True
            )
        ]

    keys: list[Hashable] = [None] * len(parts)
    found: list[_PartReading | None] = [None] * len(parts)
    if memory is not None:
        ends = np.cumsum(counts).tolist()
        for index, (part, count, end) in enumerate(zip(parts, counts.tolist(), ends, strict=True)):
            origin = tokens.origin(slice(end - count, end)) if count == of_whole[index] else None
            if origin is not None:
                keys[index] = text[part.start : part.end], origin
                found[index] = memory.recall_made(keys[index])
    groups = list(_together([each is None for each in found], counts))
    for group, results in zip(groups, reader.threads.map_alone(read, groups), strict=True):
        for index, result in zip(group, results, strict=True):
            found[index] = result
            if memory is not None and keys[index] is not None:
                memory.remember_made(keys[index], result, result.size + parts[index].end - parts[index].start)
    readings = [each for each in found if each is not None]
    means = np.stack([each.sums for each in readings]).sum(axis=0, dtype=np.float64) / max(1, len(encoding))
    novelty = novelty_of(novelty_distance(means[None].astype(np.float32)), manifest.novelty)
    return TokenReading(np.concatenate([each.values for each in readings]), novelty)


def text_distance(reader: ProbeReader, text: str, activations: Activations, *, statistics: bool) -> float:
    """The novelty distance of one text: how far its features are from those that the probe was fitted to."""
    standardised, _ = _standardise_parts(reader, text, sections(text), activations, statistics=statistics)
    return novelty_distance(standardised[:, _layout_width(reader) :])


def _together(are_read: Sequence[bool], counts: NDArray[np.int64]) -> Iterator[range]:
    """Neighbouring parts that are read at once: as many as bound what is held in memory, or one that has more tokens.

    counts: int64[parts], the tokens of each.
    """
    ends = np.cumsum(counts)
    first = 0
    while first < len(counts):
        if not are_read[first]:
            first += 1
            continue
        before = int(ends[first] - counts[first])
        last = max(first + 1, int(np.searchsorted(ends, before + _TOKENS_AT_ONCE, side="right")))
        last = next((index for index in range(first, last) if not are_read[index]), last)
        yield range(first, last)
        first = last


def _token_counts(parts: Sequence[Span], encoding: Encoding) -> NDArray[np.int64]:
    """How many tokens begin in each part."""
    bounds = [part.start for part in parts] + [parts[-1].end]
    return np.diff(np.searchsorted(encoding.starts, bounds))


def _layout_width(reader: ProbeReader) -> int:
    return LAYOUT if uses_layout(reader.architecture) else 0


def _standardise_parts(
    reader: ProbeReader, text: str, parts: Sequence[Span], tokens: TokenRows, *, statistics: bool
) -> tuple[NDArray[np.float32], TokenLayout]:
    """Standardised features of the tokens of neighbouring parts of a text, and where the tokens stand in these."""
    encoding = tokens.encoding
    start, end = parts[0].start, parts[-1].end
    inside = slice(*np.searchsorted(encoding.starts, (start, end)).tolist())
    moved = [Span(part.start - start, part.end - start) for part in parts]
    layout = token_layout(text[start:end], encoding.starts[inside] - start, encoding.ends[inside] - start, moved)
    columns = [layout.columns] if uses_layout(reader.architecture) else []
    features = token_features(tokens.rows(inside), statistics=statistics, before=columns)
    return reader.standardise(features), layout
