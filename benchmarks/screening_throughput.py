"""Variants of a program that are judged per second: python benchmarks/screening_throughput.py [--variants N]"""

from __future__ import annotations

import argparse
import os
import time

from risk_lsp.sandbox.sandbox import Sandbox
from risk_lsp.sandbox.verdicts import Problem, judge, screen_for

TESTS = "assert total([1, 2, 3]) == 6\nassert total([]) == 0\nassert total([5]) == 5\n"
PROBLEM = Problem("Own/1", "own", "Own/1", "", "total", "append", TESTS, None, "")
PROGRAM = "def total(xs):\n    s = {number}\n    for x in xs:\n        s += x\n    return s\n"


def main() -> None:
    """Measure each way to judge a variant, on one worker, and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", type=int, default=640)
    count = parser.parse_args().variants
    programs = [PROGRAM.format(number=number) for number in range(1, count + 1)]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {count} variants that fail their first assertion")
    with Sandbox() as sandbox:
        judge(sandbox, PROBLEM, programs[0])  # the server starts
        ways = {
            "a sandbox run each": lambda: [judge(sandbox, PROBLEM, program) for program in programs[: count // 8]],
            "a process each": lambda: screen_for(sandbox, PROBLEM).passes(programs),
            "many in a process": lambda: [
                screen_for(sandbox, PROBLEM).promising(programs[start : start + 64]) for start in range(0, count, 64)
            ],
        }
        for name, way in ways.items():
            started = time.monotonic()
            tried = count // 8 if name == "a sandbox run each" else count
            way()
            print(f"{name:20} {tried / (time.monotonic() - started):8.0f} variants/s")


if __name__ == "__main__":
    main()
