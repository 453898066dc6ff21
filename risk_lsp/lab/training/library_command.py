"""`risk-lsp corpus programs`: library code as labelled programs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

_FIELDS = ("id", "group", "benchmark", "text", "passed", "model", "source", "kind")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp corpus programs`."""
    parser.add_argument("out", type=Path, help="file to write, .jsonl or .jsonl.xz")
    parser.add_argument("--count", type=int, default=1600, help="pieces of library code (default 1600)")
    parser.add_argument(
        "--packages",
        type=Path,
        help="folder of fetched packages, read beside those that are installed",
    )
    parser.add_argument("--seed", type=int, default=1)


def run(args: argparse.Namespace) -> int:
    """Write the programs; returns the exit code."""
    import json
    import lzma
    from itertools import chain

    from risk_lsp.lab.evaluation.as_met.well_kept import LIBRARIES
    from risk_lsp.lab.training.documents import fetched_packages, installed_distributions
    from risk_lsp.lab.training.library_programs import library_programs

    fetched = fetched_packages(args.packages) if args.packages else iter(())
    programs = library_programs(chain(installed_distributions(), fetched), args.count, LIBRARIES, args.seed)
    records = (
        {
            **{name: getattr(program, name) for name in _FIELDS},
            "scored": [*program.scored],
            "edited": [[*span] for span in program.edited or ()],
        }
        for program in programs
    )
    text = "".join(json.dumps(record) + "\n" for record in records).encode()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(lzma.compress(text) if args.out.suffix == ".xz" else text)
    passing = sum(program.passed for program in programs)
    print(f"wrote {args.out}: {passing:,} pieces, {len(programs) - passing:,} twins with a bug", file=sys.stderr)
    return 0
