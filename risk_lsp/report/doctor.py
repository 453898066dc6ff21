"""What a person needs to know when something does not work: versions, model, device, memory, and a self-test."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from risk_lsp import __version__
from risk_lsp.risk.engine import Engine
from risk_lsp.risk.presentation import document_risk, line_risks, percent
from risk_lsp.risk.span_risk import SpanRisk

_PACKAGES = (
    "numpy",
    "tokenizers",
    "safetensors",
    "pygls",
    "lsprotocol",
    "tree-sitter",
    "rich",
)
_EXTRA_PACKAGES = ("torch", "transformers", "openai")  # the embedded default needs none of them

_PROGRAM = '''def largest(numbers):
    """Return the largest of the numbers."""
    best = 0
    for number in numbers:
        if number > best:
            best = number
    return best
'''


@dataclass(frozen=True)
class Finding:
    """One row of the examination; `ok` is False for what is wrong."""

    name: str
    value: str
    ok: bool = True


def examine(load: Callable[[], Engine], bundle: Path, *, offline: bool) -> Iterator[Finding]:
    """All findings, each as soon as it is made. Raises the RiskError of a bundle that cannot be loaded."""
    yield Finding("risk-lsp", f"{__version__} in {Path(__file__).resolve().parents[1]}")
    yield Finding("Python", f"{platform.python_version()}, {sys.executable}")
    yield Finding("system", f"{platform.platform()}, {os.cpu_count()} CPUs")
    yield Finding("packages", ", ".join(_version(name) for name in _PACKAGES))
    yield Finding("extras", ", ".join(_version(name, "not installed") for name in _EXTRA_PACKAGES))
    yield Finding("network", "never used" if offline else "used to fetch a bundle's model that is not on this machine")
    yield Finding("bundle", str(bundle))
    before = time.perf_counter()
    engine = load()
    seconds = time.perf_counter() - before
    described = engine.describe()
    for name in ("model", "device", "dtype", "layers", "architecture", "context", "created"):
        if name in described:
            yield Finding(name, str(described[name]))
    yield Finding("loading", f"{seconds:.1f} s")
    yield from _self_test(engine)
    yield Finding("memory", _memory())


def _self_test(engine: Engine) -> Iterator[Finding]:
    first = engine.score(_PROGRAM, "python")
    before = time.perf_counter()
    second = engine.score(_PROGRAM, "python")
    milliseconds = 1000 * (time.perf_counter() - before)
    problem = _problem(first, second)
    done = f"{_PROGRAM.count(chr(10))} lines in {milliseconds:.0f} ms, {percent(document_risk(first))} for the document"
    yield Finding("self-test", problem or f"passed: {done}", ok=problem is None)


def _problem(first: SpanRisk, second: SpanRisk) -> str | None:
    lines, document = _scored_lines(first), document_risk(first)
    if len(first.starts) == 0:
        return "failed: the model sees no tokens in a program"
    if not ((lines >= 0) & (lines <= 1)).all() or not 0 <= document <= 1:
        return "failed: a probability is not between 0 and 1"
    if lines.max() > document:
        return "failed: a line is likelier to need an edit than the document around it"
    if not np.allclose(lines, _scored_lines(second), atol=1e-4):
        return "failed: the same program got other probabilities the second time"
    return None


def _scored_lines(risk: SpanRisk) -> NDArray[np.float64]:
    lines = line_risks(risk, _PROGRAM)
    return lines[~np.isnan(lines)]


def _version(package: str, absent: str = "missing") -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} is {absent}"


def _memory() -> str:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return "unknown on this system"
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    said = f"{used / 2**20:,.0f} MiB used at most by this process"
    try:
        return f"{said}, {os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**20:,.0f} MiB free"
    except (ValueError, OSError):  # a system that does not say
        return said
