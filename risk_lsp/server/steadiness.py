"""Numbers that do not flicker: what people see moves only when the risk really did."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.risk.views import riskiest_lines
from risk_lsp.text.line_matching import LineMatch

SMALLEST_MOVE = 0.02  # a number that moved by less stays as it is
IN_HAND = 0.05  # how far a line that is shown may fall below the threshold, or behind others, and stay shown


def steady_numbers(
    fresh: NDArray[np.float64], shown: NDArray[np.float64], known: NDArray[np.bool_], match: LineMatch
) -> NDArray[np.float64]:
    """The numbers to show, float64[lines], for fresh ones and those shown before (float64[lines of then]).

    Lines above the edit keep theirs exactly, if they were `known` (bool[lines of then]) and not just left from before
    that: a model that reads forwards has seen nothing new there.
    """
    before: NDArray[np.float64] = carried(shown, match, np.nan)
    is_above = (np.arange(len(fresh)) < match.above) & carried(known, match, False)
    stays = ~np.isnan(fresh) & ~np.isnan(before) & (is_above | (np.abs(fresh - before) < SMALLEST_MOVE))
    return np.where(stays, before, fresh)


def steady_lines(
    probabilities: NDArray[np.float64], threshold: float, top: int, shown: NDArray[np.bool_], match: LineMatch
) -> list[int]:
    """The up to `top` lines to show, in the order of the text; `shown`, bool[lines of then], says which were."""
    in_hand = np.where(carried(shown, match, False), IN_HAND, 0.0)
    return sorted(riskiest_lines(probabilities + in_hand, top, threshold))


def carried(values: NDArray[Any], match: LineMatch, missing: float | bool) -> NDArray[Any]:
    """Values by old line as values by new line."""
    found = np.full(len(match.old), missing, dtype=values.dtype)
    known = match.old >= 0
    found[known] = values[match.old[known]]
    return found
