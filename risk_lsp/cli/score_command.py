"""`risk-lsp score`: many programs from a JSONL file."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TextIO

from risk_lsp.cli.command_line import OK
from risk_lsp.cli.engine_options import add_bundle_arguments, load_engine

_SECONDS_ON_A_TERMINAL = 0.1
_SECONDS_IN_A_LOG = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `risk-lsp score`."""
    parser.add_argument("input", type=Path, metavar="IN.jsonl", help='lines {"id": ..., "text": ...}')
    parser.add_argument("output", type=Path, metavar="OUT.jsonl", help="what it already holds is not scored again")
    parser.add_argument("--skip-bad", action="store_true", help='write {"id", "error"} for a bad line and go on')
    add_bundle_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Score a file of programs; progress goes to stderr."""
    from risk_lsp.report.score import count_lines, score_file

    progress = Progress(sys.stderr, "programs", count_lines(args.input))
    engine = load_engine(args)
    score_file(
        engine,
        args.input,
        args.output,
        skip_bad=args.skip_bad,
        on_progress=progress,
        priors=engine.manifest.priors,
    )
    return OK


class Progress:
    """One line that is rewritten on a terminal, or a new line now and then anywhere else."""

    def __init__(self, stream: TextIO, things: str, total: int) -> None:
        self._stream = stream
        self._things = things
        self._total = total
        self._is_terminal = stream.isatty()
        self._started = self._shown = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int) -> None:
        """Show that `done` things are finished; the first call counts what was finished before the start."""
        if self._first is None:
            self._first = done
        now = time.monotonic()
        wait = _SECONDS_ON_A_TERMINAL if self._is_terminal else _SECONDS_IN_A_LOG
        if now - self._shown >= wait or done == self._total:
            self._shown = now
            self._show(done, (done - self._first) / max(now - self._started, 1e-3))

    def _show(self, done: int, rate: float) -> None:
        line = f"{done:,} of {self._total:,} {self._things}, {rate:,.1f} a second"
        if self._is_terminal:
            end = "\n" if done == self._total else ""
            self._stream.write(f"\r\x1b[K{line}{end}")
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()
