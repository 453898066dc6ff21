"""Where the tokens of a text stand, and how its lines look: what a probe knows of a text beside its activations."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from risk_lsp.text.document import LineIndex, Span, stripped_line_spans

OFF_LINE = -1  # the line of a token that is on none: line breaks and indentation
_MANY_LINES = 200  # beyond this, programs were too rare for a probe to learn what a place means
_DEEPEST = 5.0  # levels of indentation, of eight columns each
LAYOUT = 8
PLACE_COLUMNS = (0, 1, 2, 7)  # those that place_columns gives

# Of a line's first word: statements' keywords, then kinds of everything else.
_WORDS = ("return", "if", "for", "def", "elif", "else", "while", "import", "from", "class", "try", "except", "break")
_KINDS = ("keyword", "name", "number", "string", "sign", "nothing")
FIRST_WORDS = (*_WORDS, *_KINDS)
_STATEMENTS = frozenset(_WORDS)
LOOKS = 5 + len(FIRST_WORDS)


class TokenLayout(NamedTuple):
    """Where n tokens stand: `line` int64[n] as in token_lines; `columns` float32[n, LAYOUT]; `part` int64[n], rising.

    `line_part` int64[lines]: the part that each line is in. Parts are numbered from 0. `looks` float32[lines, LOOKS]:
    how each line looks.
    """

    line: NDArray[np.int64]
    columns: NDArray[np.float32]
    part: NDArray[np.int64]
    line_part: NDArray[np.int64]
    looks: NDArray[np.float32]

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
    Looks: the line's number as a share, its square, and from the top; its characters and indentation; then 1 for the
    kind of its first word, as FIRST_WORDS has them, and 0 for the others.
    """
    cuts = np.array([part.start for part in parts[1:]], dtype=np.int64)
    part = np.searchsorted(cuts, starts, side="right").astype(np.int64)
    ends = np.minimum(ends, np.append(cuts, len(text))[part])
    line, lines = token_lines(text, starts, ends)
    first = np.array([span.start for span in lines], dtype=np.int64)
    last = np.array([span.end for span in lines], dtype=np.int64)
    line_part = np.searchsorted(cuts, first, side="right").astype(np.int64)
    if not lines:
        nothing, no_looks = np.zeros((len(starts), LAYOUT), np.float32), np.zeros((0, LOOKS), np.float32)
        return TokenLayout(line, nothing, part, line_part, no_looks)
    index = LineIndex(text)
    columns_before = first - index.starts[np.searchsorted(index.starts, first, side="right") - 1]
    lines_of = np.bincount(line_part, minlength=len(cuts) + 1)
    number = np.arange(len(lines)) - (np.cumsum(lines_of) - lines_of)[line_part]
    from_top, from_bottom, share, of_all = place_columns(number, lines_of[line_part])
    indentation, length = np.minimum(columns_before / 8.0, _DEEPEST), np.log1p(last - first)
    own = np.maximum(line, 0)  # any, for a token that is on none
    before, after = np.maximum(starts - first[own], 0), np.maximum(last[own] - ends, 0)
    of_line = [column[own] for column in (from_top, from_bottom, share, indentation, length)]
    columns = np.stack([*of_line, np.log1p(before), np.log1p(after), of_all[own]], axis=1)
    looks = np.zeros((len(lines), LOOKS), dtype=np.float32)
    looks[:, :5] = np.stack([share, share**2, from_top, length, indentation], axis=1)
    kinds = [FIRST_WORDS.index(first_word(text[span.start : span.end])) for span in lines]
    looks[np.arange(len(lines)), 5 + np.array(kinds)] = 1.0
    placed = np.where((line != OFF_LINE)[:, None], columns, 0.0).astype(np.float32)
    return TokenLayout(line, placed, part, line_part, looks)


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


_BEGINNING = re.compile(r"\s*(\w*)(.?)", re.DOTALL)


def first_word(text: str) -> str:
    """The kind of the first word of a text, one of FIRST_WORDS."""
    match = _BEGINNING.match(text)
    assert match is not None  # it matches nothing, too
    word, sign = match.groups()
    if word in _STATEMENTS:
        return str(word)
    if keyword.iskeyword(word):
        return "keyword"
    if word:
        return "number" if word[0].isdigit() else "name"
    return "nothing" if not sign else "string" if sign in "\"'" else "sign"


_STRONGEST = 10.0  # keeps a strange fit finite


def weigh_lines(
    hazards: NDArray[np.floating],
    line: NDArray[np.int64],
    line_part: NDArray[np.int64],
    log_factor: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Hazards float[tokens] with a factor by line, such that the sum over the lines of each part stays what it was.

    `line` int64[tokens] and `line_part` int64[lines] as in TokenLayout; `log_factor` float64[lines].
    """
    weighed = np.asarray(hazards, dtype=np.float64).copy()
    on_line = line != OFF_LINE
    if not on_line.any():
        return weighed
    lines = line[on_line]
    part = line_part[lines]
    before = np.bincount(part, weighed[on_line])
    weighed[on_line] *= np.exp(np.clip(log_factor, -_STRONGEST, _STRONGEST))[lines]
    after = np.bincount(part, weighed[on_line])
    weighed[on_line] *= (before / np.maximum(after, np.finfo(np.float64).tiny))[part]
    return weighed
