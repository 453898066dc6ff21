"""What the tests of the debugger share: problems whose programs fail, and a model at an endpoint that mends them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

WRONG = "def add(a, b):\n    return a - b\n"
RIGHT = "def add(a, b):\n    return a + b\n"
WORDS = "It subtracts where it should add."


def problem(number: int, **changes: Any) -> dict[str, Any]:
    """A problem in our own format: to add two numbers."""
    return {
        "task_id": f"Own/{number}",
        "benchmark": "own",
        "group": f"Own/{number}",
        "prompt": f"Write add(a, b) number {number}.",
        "test_kind": "append",
        "tests": "assert add(2, 3) == 5\nassert add(0, 0) == 0\n",
        "reference": RIGHT,
        "license": "MIT",
        **changes,
    }


def write_lines(path: Path, records: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def answer(prompt: str, program: str = WRONG) -> str:
    """What a model says that writes `program`, knows why it fails, and mends it."""
    if "Explain in at most" in prompt:
        return WORDS
    return f"```python\n{RIGHT if 'repaired program' in prompt else program}```\n"
