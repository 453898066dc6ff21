"""Runs per second of trivial programs in the sandbox: python benchmarks/sandbox_throughput.py [--runs N]

Exits with 1 where two workers reach less than `--at-least` (60 a second, what is wanted of two cores).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time

from risk_lsp.sandbox.sandbox import Job, Sandbox


def main() -> int:
    """Measure with one and with two workers and print one line for each; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--at-least", type=float, default=60.0, metavar="RATE", help="what two workers have to reach")
    args = parser.parse_args()
    runs = args.runs
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {runs} runs of print(1)")
    for workers in (1, 2):
        with Sandbox() as sandbox:
            # The servers start, and warm up, outside of what is measured.
            _measure(sandbox, workers * 4, workers)
            rate, seconds = _measure(sandbox, runs, workers)
        quantiles = statistics.quantiles(seconds, n=20)
        print(
            f"{workers} workers: {rate:.0f} runs/s; one run takes {1000 * statistics.median(seconds):.1f} ms (median), "
            f"{1000 * quantiles[-1]:.1f} ms (95%)"
        )
    if rate < args.at_least:
        print(f"missed: {args.at_least:g} runs/s were wanted of two workers")
        return 1
    return 0


def _measure(sandbox: Sandbox, runs: int, workers: int) -> tuple[float, list[float]]:
    """Runs per second, and the seconds of each run."""
    started = time.monotonic()
    outcomes = [outcome for _, outcome in sandbox.run_many([Job("print(1)")] * runs, workers)]
    elapsed = time.monotonic() - started
    assert all(outcome.stdout == "1\n" for outcome in outcomes), "a run failed"
    return runs / elapsed, [outcome.seconds for outcome in outcomes]


if __name__ == "__main__":
    sys.exit(main())
