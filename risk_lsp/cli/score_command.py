"""`risk-lsp score`: many programs from a JSONL file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from risk_lsp.cli.command_line import OK
from risk_lsp.cli.engine_options import add_bundle_arguments, load_engine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp score`."""
    parser.add_argument("input", type=Path, metavar="IN.jsonl", help='lines {"id": ..., "text": ...}')
    parser.add_argument("output", type=Path, metavar="OUT.jsonl", help="what it already holds is not scored again")
    parser.add_argument("--skip-bad", action="store_true", help='write {"id", "error"} for a bad line and go on')
    add_bundle_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Score a file of programs; progress goes to stderr."""
    from risk_lsp.report.progress import shown_progress
    from risk_lsp.report.score import count_lines, score_file

    total = count_lines(args.input)
    already = count_lines(args.output) if args.output.exists() else 0
    engine = load_engine(args)
    with shown_progress(sys.stderr, "programs", total, already) as progress:
        score_file(
            engine,
            args.input,
            args.output,
            skip_bad=args.skip_bad,
            on_progress=progress.show,
            priors=engine.manifest.priors,
        )
    return OK
