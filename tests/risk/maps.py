"""Strategies and small makers for risk maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from risk_lsp.probe.calibration import Calibration
from risk_lsp.risk.risk_map import RiskMap

Tokens = list[tuple[int, int]]


def int32(values: Sequence[int]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(values, dtype=np.int32)


def risk_map(
    tokens: Tokens, hazards: Sequence[float], *, length: int | None = None, calibration: Calibration | None = None
) -> RiskMap:
    """A map of tokens given as (start, end), whose text ends with the last token unless a length is given."""
    starts, ends = int32([start for start, _ in tokens]), int32([end for _, end in tokens])
    text_length = length if length is not None else max((end for _, end in tokens), default=0)
    return RiskMap(text_length, starts, ends, np.array(hazards), calibration or Calibration())


@st.composite
def token_spans(draw: st.DrawFn, max_tokens: int = 12) -> tuple[int, Tokens]:
    """A text's length and its tokens in order, with gaps, and with tokens that share the characters of the last one."""
    tokens: Tokens = []
    place = 0
    for _ in range(draw(st.integers(0, max_tokens))):
        shared = draw(st.integers(0, 3)) == 3
        if tokens and shared:
            tokens.append(tokens[-1])
            continue
        start = place + draw(st.integers(0, 2))
        place = start + draw(st.integers(1, 4))
        tokens.append((start, place))
    return place + draw(st.integers(0, 3)), tokens


calibrations = st.builds(
    Calibration,
    theta=st.one_of(st.just(0.0), st.floats(1e-12, 20.0)),
    scale=st.floats(1e-3, 1e3),
    power=st.floats(0.1, 4.0),
)

# Every size that a float32 has, and many that are next to each other.
hazard_values = st.one_of(
    st.floats(0.0, 5.0, width=32), st.floats(0.0, 2.0**127, width=32), st.just(1e-20), st.just(0.0)
)


@st.composite
def risk_maps(draw: st.DrawFn) -> RiskMap:
    length, tokens = draw(token_spans())
    hazards = draw(st.lists(hazard_values, min_size=len(tokens), max_size=len(tokens)))
    return risk_map(tokens, hazards, length=length, calibration=draw(calibrations))


@st.composite
def span_in(draw: st.DrawFn, length: int) -> tuple[int, int]:
    start = draw(st.integers(0, length))
    return start, draw(st.integers(start, length))
