"""Measure everything in one run: `python -m benchmarks.bench [--quick] [--only PART ...] [--out FOLDER]`.

Prints Markdown. What a person who types sees, and what is written at the cursor, is measured with the precise model,
too, where that was fetched (`risk-lsp models`).
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.bench.figures import Figure, markdown
from benchmarks.bench.profile import profile_markdown, time_by_part
from risk_lsp import __version__
from risk_lsp.model.cores import available_cores
from risk_lsp.model.store import ModelStore


def main() -> int:
    """Measure, print, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes and few repetitions: does everything still run?"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="some parts alone, such as writing")
    parser.add_argument("--out", type=Path, help="folder for bench.md and bench.json")
    args = parser.parse_args()
    figures = []
    for figure in measure(args.only, quick=args.quick):
        print(f"{figure.name}: {figure.median:.4g} {figure.unit} {figure.verdict()}", file=sys.stderr, flush=True)
        figures.append(figure)
    shares = time_by_part(200 if args.quick else 1000) if "model" in args.only else {}
    report = f"{machine()}\n\n{markdown(figures)}" + (f"\n{profile_markdown(shares)}" if shares else "")
    print(report)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "bench.md").write_text(report, encoding="utf-8")
        content = {"machine": machine(), "figures": [figure.to_json() for figure in figures], "full pass": shares}
        (args.out / "bench.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


PRECISE = "qwen2.5-coder-0.5b"
PARTS = ("start", "engine", "typing", "reading", "writing", "model")


def measure(parts: Sequence[str], *, quick: bool) -> Iterator[Figure]:
    """All figures of some parts, in the order of the report."""
    from benchmarks.bench import in_process, over_stdio, startup
    from risk_lsp.risk.engine import Engine

    repeat = 2 if quick else 5
    if "start" in parts:
        yield from over_stdio.cold_start(repeat)
        yield from startup.worker_start(repeat)
    if "engine" in parts:
        engine = Engine.load()
        yield from in_process.span_queries(repeat)
        yield from in_process.edits(engine, (200,) if quick else (200, 2000, 10_000))
        yield from in_process.many_programs(engine, 20 if quick else 1000)
    if "typing" in parts:
        yield from over_stdio.changes(1000 if quick else 20_000, 50 if quick else 300)
        yield from over_stdio.hover_while_busy(1000 if quick else 5000, 1 if quick else 5)
        yield from over_stdio.first_lines(500 if quick else 4000, min(repeat, 3))
    is_here = any(model.name == PRECISE and model.path.exists() for model in ModelStore().models())
    for bundle in ("built-in", PRECISE) if is_here else ("built-in",):
        if "reading" in parts:
            yield from over_stdio.reading(1 if quick else 3, bundle, 500 if quick else 2000)
        if "writing" in parts:
            yield from over_stdio.writing(2 if quick else 20, bundle)
    if "typing" in parts:
        yield from over_stdio.memory_after_editing(20 if quick else 900)
    if "model" in parts:
        from benchmarks.bench import hosts, matrix, rivals  # torch takes memory and seconds the others should not see

        engine = Engine.load()
        rates = matrix.matrix_rates(4 * repeat)
        yield from rates
        yield from in_process.full_pass(engine, rates, 200 if quick else 2000, repeat)
        yield from hosts.other_hosts(engine, 100 if quick else 500, 2)
        yield from rivals.rivals(engine, repeat)


def machine() -> str:
    """Where this was measured."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "tokenizers", "torch", "transformers"))
    place = f"{_processor()}, {available_cores()} cores, {platform.system()}"
    return f"risk-lsp {__version__}, Python {platform.python_version()}, {packages}; {place}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main())
