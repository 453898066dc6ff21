"""The default model run in other ways: how fast each is, and by how much it moves the numbers that people see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.bench.figures import Figure, timed
from benchmarks.bench.programs import program
from risk_lsp.model import host as hosts
from risk_lsp.model.decoders.transformers_host import TransformersHost
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.presentation import line_risks

_BAR = 0.01  # a probability may move by less


def other_hosts(engine: Engine, lines: int, repeat: int) -> Iterator[Figure]:
    """Passes over the same program by numpy, and by transformers in float32, bfloat16 and with int8 weights."""
    text = program(lines)
    known = line_risks(engine.score(text), text)
    tokens = len(engine.model.encode(text))
    for name, other in (("numpy, float32 (the default)", engine), *other_engines()):
        seconds = timed(lambda other=other: other.score(text), repeat)  # type: ignore[misc]
        moved = float(np.nanmax(np.abs(line_risks(other.score(text), text) - known)))
        yield Figure(
            f"pass over {lines:,} lines by {name}",
            "tokens/s",
            tuple(tokens / each for each in seconds),
            larger_is_better=True,
            note=f"a line's probability moves by {moved:.4f} at most{'' if moved < _BAR else ': too much'}",
        )


def other_engines(threads: int | None = None) -> Iterator[tuple[str, Engine]]:
    """The default bundle by transformers: in float32, which is the plain way, in bfloat16, and with int8 weights."""
    yield "transformers, float32", _by_transformers("float32", threads)
    yield "transformers, bfloat16", _by_transformers("bfloat16", threads)
    integers = _by_transformers("float32", threads)
    host = integers.model.host
    assert isinstance(host, TransformersHost)
    quantize: Any = torch.ao.quantization.quantize_dynamic
    quantize(host._base, {torch.nn.Linear}, dtype=torch.qint8, inplace=True)
    yield "transformers, int8 weights in the blocks", integers


def _by_transformers(dtype: str, threads: int | None) -> Engine:
    with patch.object(hosts, "decoder_shape", lambda config: None):
        return Engine.load(dtype=dtype, threads=threads)
