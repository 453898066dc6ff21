"""What the probe sees of a token: activations, the model's own uncertainty, its place, and the parts of a text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import BundleError, ModelError
from risk_lsp.model.activations import Activations
from risk_lsp.text.document import LineIndex, Span, stripped_line_spans

OFF_LINE = -1  # the line of a token that is on none: line breaks and indentation
_MANY_LINES = 200  # beyond this, programs were too rare for a probe to learn what a place means
_DEEPEST = 5.0  # levels of indentation, of eight columns each
LAYOUT = 8
PLACE_COLUMNS = (0, 1, 2, 7)  # those that place_columns gives


class TokenLayout(NamedTuple):
    """Of n tokens: `line` int64[n] as in token_lines; `columns` float32[n, LAYOUT]; `part` int64[n], rising.

    `line_part` int64[lines]: the part that each line is in. Parts are numbered from 0.
    """

    line: NDArray[np.int64]
    columns: NDArray[np.float32]
    part: NDArray[np.int64]
    line_part: NDArray[np.int64]

    @property
    def line_count(self) -> int:
        """Lines of the whole text, without the blank ones."""
        return len(self.line_part)


def token_lines(
    text: str, starts: NDArray[np.integer], ends: NDArray[np.integer]
) -> tuple[NDArray[np.int64], list[Span]]:
    """The line of each token, int64[n], numbered from 0 without the blank ones, or OFF_LINE; and all those lines."""
    lines = [line for line in stripped_line_spans(text) if line.start < line.end]
    line_starts = np.array([line.start for line in lines], dtype=np.int64)
    line_ends = np.array([line.end for line in lines], dtype=np.int64)
    # The first line that reaches past the token's start, if it also begins before the token ends.
    line_of = np.searchsorted(line_ends, starts, side="right").astype(np.int64)
    on_line = np.zeros(len(starts), dtype=np.bool_)
    reachable = line_of < len(lines)
    on_line[reachable] = line_starts[line_of[reachable]] < ends[reachable]
    return np.where(on_line, line_of, OFF_LINE), lines


def token_layout(
    text: str, starts: NDArray[np.integer], ends: NDArray[np.integer], parts: Sequence[Span] = ()
) -> TokenLayout:
    """The layout of tokens (all of a text's, or some) with the characters [starts, ends) of it, in order.

    `parts` are whole lines each and make up the text; a token belongs to the part that it begins in, and stands there
    as if that was all there is.

    Columns: the line's number from the top, from the bottom, and as a share of all; its indentation; characters of the
    line, of it before the token, and after; lines of the part. Counts are log(1 + count); all are 0 off the lines.
    """
    cuts = np.array([part.start for part in parts[1:]], dtype=np.int64)
    part = np.searchsorted(cuts, starts, side="right").astype(np.int64)
    ends = np.minimum(ends, np.append(cuts, len(text))[part])
    line, lines = token_lines(text, starts, ends)
    first = np.array([span.start for span in lines], dtype=np.int64)
    last = np.array([span.end for span in lines], dtype=np.int64)
    line_part = np.searchsorted(cuts, first, side="right").astype(np.int64)
    if not lines:
        return TokenLayout(line, np.zeros((len(starts), LAYOUT), dtype=np.float32), part, line_part)
    index = LineIndex(text)
    indentation = first - index.starts[np.searchsorted(index.starts, first, side="right") - 1]
    own = np.maximum(line, 0)  # any, for a token that is on none
    lines_of = np.bincount(line_part, minlength=len(cuts) + 1)
    number, count = (np.arange(len(lines)) - (np.cumsum(lines_of) - lines_of)[line_part])[own], lines_of[line_part[own]]
    from_top, from_bottom, share, of_all = place_columns(number, count)
    columns = (
        from_top,
        from_bottom,
        share,
        np.minimum(indentation[own] / 8.0, _DEEPEST),
        np.log1p(last[own] - first[own]),
        np.log1p(np.maximum(starts - first[own], 0)),
        np.log1p(np.maximum(last[own] - ends, 0)),
        of_all,
    )
    placed = np.where((line != OFF_LINE)[:, None], np.stack(columns, axis=1), 0.0)
    return TokenLayout(line, placed.astype(np.float32), part, line_part)


def place_columns(
    number: NDArray[np.integer], count: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The columns of a line's place (see token_layout) for lines of these numbers, from 0, in parts of `count`."""
    return (
        np.log1p(np.minimum(number, _MANY_LINES)),
        np.log1p(np.minimum(count - 1 - number, _MANY_LINES)),
        number / count,
        np.log1p(np.minimum(count, _MANY_LINES)),
    )


STATISTICS = 3  # surprisal, entropy, and how much more surprising the token was than the model expected


def feature_count(layers: int, width: int, *, statistics: bool, layout: bool = False) -> int:
    """Numbers per token for `layers` tapped layers of `width`, behind those of the token's layout if it is read."""
    return (LAYOUT if layout else 0) + layers * width + (STATISTICS if statistics else 0)


def token_features(
    activations: Activations,
    *,
    statistics: bool,
    tokens: slice = slice(None),
    before: Sequence[NDArray[np.float32]] = (),
) -> NDArray[np.float32]:
    """float32[tokens, features]: the layers side by side, then surprisal, entropy and their difference in nats.

    `before` are columns of the same tokens that come first. Raises ModelError if a number is not finite (a damaged
    model, or one run in too narrow a type).
    """
    values = activations.values[tokens]
    parts = [*before, values.reshape(len(values), values.shape[1] * values.shape[2])]
    if statistics:
        if activations.log_probabilities is None or activations.entropies is None:
            raise ModelError(
                "the probe wants token statistics that the model was not asked for", "read with statistics=True"
            )
        surprisal, entropy = -activations.log_probabilities[tokens], activations.entropies[tokens]
        parts.append(np.stack([surprisal, entropy, surprisal - entropy], axis=1))
    features = np.concatenate(parts, axis=1, dtype=np.float32)
    if not np.isfinite(features).all():
        raise ModelError("the model's activations are not finite", "use dtype float32 or bfloat16, or another model")
    return features


# Lines, with the empty one behind a last line break; a text of at most so many is one part. docs/probe-attempts.md says
# what that was chosen by.
WHOLE = 50
LEAST = 20  # lines of a piece of what stands between functions
_BLANK_OR_GOES_ON = re.compile(r"[^\S\r\n]*(?:\r|\n|\Z)|[)\]}]|(?:else|elif|except|finally)\b")
_FUNCTION = re.compile(r"(?:async[ \t]+)?def\b")
_CLASS = re.compile(r"class\b")
_INDENTATION = re.compile(r"[ \t]*")


def sections(text: str) -> list[Span]:
    """The parts that a text is read in, in order and without gaps; each begins where a line does."""
    if len(LineIndex(text).starts) <= WHOLE:
        return [Span(0, len(text))]
    return function_parts(text)


def function_parts(text: str) -> list[Span]:
    """The functions of a text, however short it is, and what stands between them, in order and without gaps."""
    cutter = _Cutter()
    starts = LineIndex(text).starts.tolist()
    cuts = [start for line, start in enumerate(starts) if cutter.begins_part(text, line, start)]
    bounds = [0, *(cut for cut in cuts if cut > 0), len(text)]
    return [Span(start, end) for start, end in pairwise(bounds)]


class _Cutter:
    """Told one line after the other, says with which a part begins."""

    def __init__(self) -> None:
        self._inside = ""  # what the last line at the margin began: "function", "class", or "" for anything else
        self._decorated: int | None = None  # how far in the last decorator stands that nothing has followed yet
        self._methods = 0  # of the class, so far
        self._method_margin = 0
        self._first = 0  # line of the part

    def begins_part(self, text: str, line: int, start: int) -> bool:
        """Whether a part begins with that line, which begins with the character `start`."""
        if _BLANK_OR_GOES_ON.match(text, start):
            return False
        begins = self._at_margin(text, line, start) if not text[start].isspace() else self._within(text, start)
        if begins:
            self._first = line
        return begins

    def _at_margin(self, text: str, line: int, start: int) -> bool:
        kind = "function" if _FUNCTION.match(text, start) else "class" if _CLASS.match(text, start) else ""
        before, decorated = self._inside, self._decorated is not None
        is_decorator = text[start] == "@"
        self._inside, self._methods, self._method_margin = kind, 0, 0
        self._decorated = 0 if is_decorator else None
        if decorated:
            return False
        return bool(before or kind or is_decorator) or line - self._first >= LEAST

    def _within(self, text: str, start: int) -> bool:
        if self._inside != "class":
            return False
        margin = _INDENTATION.match(text, start).end() - start  # type: ignore[union-attr]  # it matches always
        is_decorator, is_method = text.startswith("@", start + margin), _FUNCTION.match(text, start + margin)
        if not (is_decorator or is_method) or (self._method_margin and margin != self._method_margin):
            return False
        self._method_margin = margin
        decorated, self._decorated = self._decorated is not None, 0 if is_decorator else None
        if decorated:
            return False
        self._methods += 1
        return self._methods > 1


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
