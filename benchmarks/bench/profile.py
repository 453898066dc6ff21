"""Where the processor's time goes during a full pass, part by part, on one thread."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from benchmarks.bench.programs import program
from risk_lsp.model import code_model
from risk_lsp.model.decoders import numpy_host
from risk_lsp.probe import token_hazards as reading
from risk_lsp.risk.engine import Engine

_PARTS: tuple[tuple[str, object, str], ...] = (
    ("tokens of the text", code_model.CodeModel, "encode"),
    ("statements of the text (parsing)", Engine, "_boundaries"),
    ("blocks: matrix products with weights", numpy_host, "_linear"),
    ("blocks: attention between tokens", numpy_host, "_attention"),
    ("blocks: rotations of queries and keys", numpy_host, "_rotate"),
    ("blocks: norms", numpy_host, "rms_norm"),
    ("blocks: gates, sums, copies", numpy_host.Block, "run"),
    ("head: matrix product with the vocabulary", numpy_host.NumpyHost, "logits"),
    ("head: log-probabilities and entropies", numpy_host, "_chunk_statistics"),
    ("probe", reading, "read_tokens"),
)
REST = "the rest"


class _Clock:
    """Processor seconds by part; what a part calls counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = [0.0]

    def timed(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            started = time.process_time()
            self._inner.append(0.0)
            try:
                return work(*args, **options)
            finally:
                spent = time.process_time() - started
                self.seconds[part] += spent - self._inner.pop()
                self._inner[-1] += spent

        return run


def time_by_part(lines: int) -> dict[str, float]:
    """Share of the processor's time of each part of a pass over so many lines, the largest first; the sum is 1."""
    engine, text, clock = Engine.load(threads=1), program(lines), _Clock()
    engine.score(text)
    with _watched(clock):
        clock.timed(REST, engine.score)(text)
    whole = sum(clock.seconds.values())
    return {part: clock.seconds[part] / whole for part in sorted(clock.seconds, key=lambda part: -clock.seconds[part])}


@contextmanager
def _watched(clock: _Clock) -> Iterator[None]:
    with ExitStack() as stack:
        for part, owner, name in _PARTS:
            stack.enter_context(patch.object(owner, name, clock.timed(part, getattr(owner, name))))
        yield


def profile_markdown(shares: dict[str, float]) -> str:
    """The shares as a table."""
    rows = [f"| {part} | {100 * share:.0f}% |" for part, share in shares.items()]
    return "\n".join(["| where the time of a full pass goes | share |", "|---|---|", *rows]) + "\n"
