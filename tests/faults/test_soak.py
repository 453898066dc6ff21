"""Half a minute at the keyboard with the built-in model; `make soak` is two minutes, `--long` an hour."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_typing_leaves_memory_flat_no_stale_diagnostics_and_an_idle_server(
    long: bool, figure: Callable[[str], None]
) -> None:
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", "60" if long else "0.5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    figure("; ".join(line.strip("| ") for line in done.stdout.splitlines()[4:]))
    assert done.returncode == 0, done.stdout + done.stderr
