"""What the probe sees of a token: the tapped activations, the model's own uncertainty, and where the token stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import ModelError
from risk_lsp.model.activations import Activations
from risk_lsp.text.document import Span, stripped_line_spans
from risk_lsp.text.lines import LineIndex

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
