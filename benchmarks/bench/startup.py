"""How long a worker takes until it can answer, and where that time goes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from statistics import median

from benchmarks.bench.figures import Figure

# As the worker does: what it imports while it loads is imported first, so that loading is that of files alone.
_WORKER = """
import json, sys, time
marks = [time.monotonic()]
import risk_lsp.model.decoders.numpy_host, risk_lsp.model.sources, risk_lsp.probe.bundle, risk_lsp.probe.token_hazards
from risk_lsp.risk import engine_worker
marks.append(time.monotonic())
engine = engine_worker.Engine.load()
marks.append(time.monotonic())
engine.score("def warm_up():\\n    return 1\\n")
marks.append(time.monotonic())
print(json.dumps(marks))
"""
_PARTS = ("Python", "imports", "weights, their hash, tokenizer, probe", "first pass")


def worker_start(repeat: int) -> Iterator[Figure]:
    """From the start of the worker's process to its first pass, part by part."""
    runs = [_seconds_of_parts() for _ in range(repeat)]
    parts = [f"{name} {median(seconds):.2f} s" for name, seconds in zip(_PARTS, zip(*runs, strict=True), strict=True)]
    yield Figure("worker ready, cold", "s", tuple(map(sum, runs)), 2.5, note="; ".join(parts))


def _seconds_of_parts() -> tuple[float, ...]:
    began = time.monotonic()  # the clock of the whole machine, on Linux
    done = subprocess.run([sys.executable, "-c", _WORKER], capture_output=True, text=True, check=True)
    marks = [began, *json.loads(done.stdout)]
    return tuple(later - earlier for earlier, later in pairwise(marks))
