"""What the model that ships finds likeliest in a file: pictures show a few lines of it, whatever the numbers are."""

from __future__ import annotations

import json
import math
import os
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class Likeliest:
    """The likeliest lines of a file, from 1, and a threshold that they reach."""

    lines: tuple[int, ...]
    threshold: float


@lru_cache
def likeliest(file: Path, count: int = 3) -> Likeliest:
    """Ask the server's command line, RISK_LSP, for the `count` likeliest lines."""
    command = [os.environ["RISK_LSP"], "check", str(file), "--place", "generated", "--format", "json"]
    command += ["--top", str(count), "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)["files"][0]["worth_reading"]
    lowest = min(each["probability"] for each in found)
    return Likeliest(tuple(each["line"] for each in found), math.floor(100 * lowest) / 100)
