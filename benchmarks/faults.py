"""Every fault and what came of it, measured: the tests of tests/faults as a report.

    python -m benchmarks.faults [--long] [--out FILE]

With `--long` as much as the bars ask for: a hundred kills of the worker, five thousand edits for a client that never
answers, two hundred long documents (some minutes). The hour of typing is `make soak MINUTES=60`. Prints Markdown, and
exits with pytest's status.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.bench.__main__ import machine

_ROOT = Path(__file__).parents[1]
_FIGURE = re.compile(r"^test_(\w+): (.+)$", re.MULTILINE)  # as tests/faults/conftest.py prints them


def faults(*, long: bool) -> tuple[int, str]:
    """Run the tests; their exit status, and what pytest printed."""
    command = [sys.executable, "-m", "pytest", "tests/faults", "--ignore=tests/faults/test_soak.py", "-q"]
    done = subprocess.run(
        [*command, *(["--long"] if long else [])], cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    return done.returncode, done.stdout


def markdown(printed: str) -> str:
    """A table of the figures in what pytest printed."""
    rows = [f"| {name.replace('_', ' ')} | {figure} |" for name, figure in _FIGURE.findall(printed)]
    return "\n".join(["| what happens to a fault | measured |", "|---|---|", *rows]) + "\n"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="at full length")
    parser.add_argument("--out", type=Path, help="write the report to a file, too")
    args = parser.parse_args()
    status, printed = faults(long=args.long)
    if status:
        print(printed, file=sys.stderr)
    report = f"{machine()}\n\n{markdown(printed)}"
    print(report)
    if args.out is not None:
        args.out.write_text(report, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
