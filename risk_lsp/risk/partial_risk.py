"""What is known of a text's risks while the rest is still being computed, and how risks travel between processes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk_lsp.errors import WorkerError
from risk_lsp.risk.risk_map import RiskMap
from risk_lsp.risk.span_risk import SpanRisk
from risk_lsp.text.spans import Span


def risk_from_arrays(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> SpanRisk:
    """The map that wrote these with its to_arrays. Raises WorkerError if no map of this version did."""
    kind = header.get("kind")
    if kind != RiskMap.KIND:
        raise WorkerError(f"risks of unknown kind {kind!r}", "the two processes run different versions; restart them")
    try:
        return RiskMap.from_arrays(header, arrays)
    except (KeyError, TypeError) as error:
        raise WorkerError(
            f"risks of kind {kind!r} lack a part: {error}", "the two processes run different versions; restart them"
        ) from error


# Starts the worker process.
WORKER_COMMAND = (sys.executable, "-m", "risk_lsp.risk.engine_worker")

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class PartialRisk:
    """`risks` hold for spans within one of `known`, which are in order and apart; elsewhere they know of no token."""

    risks: SpanRisk
    known: tuple[Span, ...]

    def to_arrays(self) -> tuple[dict[str, Any], Arrays]:
        """A JSON header and arrays, to send to another process."""
        header, arrays = self.risks.to_arrays()
        return {**header, "known": [list(span) for span in self.known]}, arrays

    @classmethod
    def from_arrays(cls, header: dict[str, Any], arrays: Arrays) -> PartialRisk:
        """The reverse of to_arrays. Raises WorkerError for anything else."""
        try:
            known = tuple(Span(start, end) for start, end in header["known"])
        except (KeyError, TypeError, ValueError) as error:
            raise WorkerError(
                "risks of a part of a text do not say which part",
                "the two processes run different versions; restart them",
            ) from error
        return cls(risk_from_arrays(header, arrays), known)


def within_any(spans: Sequence[Span] | NDArray[np.int64], known: Iterable[Span]) -> NDArray[np.bool_]:
    """bool[spans]: whether each of the spans, or int64[spans, 2], lies within one of `known`, which are in order and
    apart."""
    borders = np.array(list(known), dtype=np.int64).reshape(-1, 2)
    places = np.array(spans, dtype=np.int64).reshape(-1, 2)
    if not len(borders):
        return np.zeros(len(places), dtype=np.bool_)
    last = np.searchsorted(borders[:, 0], places[:, 0], side="right") - 1
    found: NDArray[np.bool_] = (last >= 0) & (places[:, 1] <= borders[last, 1])
    return found


def spans_of_tokens(starts: NDArray[Any], ends: NDArray[Any]) -> tuple[Span, ...]:
    """The characters that tokens stand for, as spans that are in order and apart."""
    if not len(starts):
        return ()
    gaps = np.flatnonzero(starts[1:] > ends[:-1])
    firsts, lasts = np.concatenate([[0], gaps + 1]), np.concatenate([gaps, [len(starts) - 1]])
    return tuple(Span(int(starts[first]), int(ends[last])) for first, last in zip(firsts, lasts, strict=True))
