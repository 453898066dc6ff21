"""A small build: two problems, and programs of which some fail."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from risk_lsp.cli.command_line import main

PROGRAMS = {
    # model: (program, verdict as published)
    "good": ("def f(a, b):\n    return a + b\n", True),
    "unknown, good": ("def f(x, y):\n    total = x + y\n    return total\n", None),
    "unknown, bad": ("def f(x, y):\n    total = x - y\n    return total\n", None),
    "bad": ("def f(a, b):\n    return a * b\n", False),
    "broken": ("def f(a, b):\n    return a +\n", False),
}


def write_inputs(tmp_path: Path) -> list[str]:
    """Problems and samples as files, and the arguments that name them."""
    problems: list[dict[str, Any]] = [
        {
            "task_id": f"Own/{number}",
            "benchmark": "own",
            "group": f"Own/{number}",
            "prompt": "Add.",
            "test_kind": "append",
            "tests": "assert f(2, 3) == 5\nassert f(0, 1) == 1\n",
            "license": "MIT",
        }
        for number in range(2)
    ]
    samples = [
        {
            "task_id": problem["task_id"],
            "benchmark": "own",
            "group": problem["group"],
            "model": model,
            "program": program,
            "prompt_lines": 0,
            "verified": verdict,
            "origin": "somebody/something:file",
        }
        for problem in problems
        for model, (program, verdict) in PROGRAMS.items()
    ]
    paths = [tmp_path / "problems.jsonl", tmp_path / "samples.jsonl"]
    for path, records in zip(paths, (problems, samples), strict=True):
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return ["--problems", str(paths[0]), "--samples", str(paths[1]), "--workers", "1"]


def build(out: Path, arguments: Iterable[str]) -> None:
    assert main(["patches", "build", str(out), *arguments]) == 0


def released(out: Path) -> list[dict[str, Any]]:
    shards = json.loads((out / "index.json").read_text())["shards"]
    texts = [lzma.decompress((out / shard["name"]).read_bytes()).decode() for shard in shards]
    return [json.loads(line) for line in "".join(texts).splitlines()]


def parts(out: Path) -> list[Path]:
    return sorted((out / "work").glob("part-*.jsonl"))
